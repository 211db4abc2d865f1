package engine

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/infer-go/infer/engine/cache"
	"github.com/infer-go/infer/kernels"
)

// Devices that Options.Device names besides the libraries' (kernels.Libraries).
const (
	DeviceAuto = "auto"
	DeviceCPU  = "cpu"
)

// candidate is a device that a model may be opened on.
type candidate struct {
	backend string
	card    int
}

// candidates are the devices to try, in order. Only "auto" gives several: the libraries' devices, then the CPU.
func (o *Options) candidates() ([]candidate, error) {
	name := o.Device
	if name == "" {
		name = os.Getenv("INFER_DEVICE")
	}
	if name == "" {
		name = DeviceAuto
	}
	if name == DeviceAuto {
		if o.Variant != "" || o.CPUs != "" { // which speak of the CPU
			return []candidate{{backend: DeviceCPU}}, nil
		}
		var all []candidate
		for _, library := range kernels.Libraries {
			all = append(all, candidate{backend: library})
		}
		return append(all, candidate{backend: DeviceCPU}), nil
	}
	backend, number, numbered := strings.Cut(name, ":")
	card, err := strconv.Atoi(number)
	known := backend == DeviceCPU && !numbered || slices.Contains(kernels.Libraries, backend)
	if !known || numbered && (err != nil || card < 0) {
		return nil, fmt.Errorf("device %q: expected auto, cpu, %s, or one of several cards as in %s:1", name, strings.Join(kernels.Libraries, ", "), kernels.Libraries[0])
	}
	return []candidate{{backend, card}}, nil
}

// openNative opens the model on the first of the devices that takes it. Where that is not the first one that the machine has, the
// reasons become the engine's note.
func (e *Engine) openNative() error {
	all, err := e.options.candidates()
	if err != nil {
		return err
	}
	var reasons []string
	for i, c := range all {
		if err = e.openOn(c); err == nil {
			break
		}
		if i == len(all)-1 {
			return err
		}
		if e.device != nil {
			e.device.Close()
			e.device = nil
		}
		if !errors.Is(err, kernels.ErrNoBackend) && !errors.Is(err, kernels.ErrNoDevice) { // nothing that the machine has is passed over
			reasons = append(reasons, err.Error())
		}
	}
	e.note = strings.Join(reasons, "; ")
	return nil
}

func (e *Engine) openOn(c candidate) error {
	o := &e.options
	cpus, err := o.cpus()
	if err != nil {
		return err
	}
	device, err := kernels.OpenDevice(kernels.DeviceOptions{Backend: c.backend, Card: c.card, Threads: o.Threads, CPUs: cpus, Repack: !o.NoRepack, RoundF16: o.RoundF16,
		Variant: o.Variant, Mapped: e.file.Mapped(), FailNth: o.FailNth})
	if err != nil {
		return err
	}
	e.device = device
	if err := e.plan(); err != nil {
		return err
	}
	parts := make([][]byte, len(e.file.Paths))
	for i := range parts {
		parts[i] = e.file.Part(i)
	}
	if err := device.Prepare(e.model.Plan, parts); err != nil {
		return fmt.Errorf("%s: %w", e.file.Paths[0], err)
	}
	return nil
}

// availableMemory returns how many bytes a cache can be sized by: of a device with memory of its own what the weights leave.
func (e *Engine) availableMemory() (int64, error) {
	if d, ok := e.device.(*kernels.Device); ok {
		if available, _, own := d.Memory(); own {
			return max(0, available-e.WeightBytes()), nil
		}
	}
	return cache.AvailableMemory()
}

// Note says why the model is not on a device that the machine has, where Options.Device left the choice; else it is empty.
func (e *Engine) Note() string { return e.note }

// OnCPU says whether the CPU computes the model.
func (e *Engine) OnCPU() bool {
	d, ok := e.device.(*kernels.Device)
	return !ok || d.Backend() == DeviceCPU
}
