package kernels

// ConstantValues returns the values of a table registered with [Plan.Constant]; nil for any other tensor. The slice is
// the plan's own.
func (p *Plan) ConstantValues(r Ref) []float32 {
	for _, c := range p.constants {
		if c.ref == r {
			return c.data
		}
	}
	return nil
}
