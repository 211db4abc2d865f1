//go:build tools

// Package tools pins the versions of the linters and of benchstat.
package tools

import (
	_ "golang.org/x/perf/cmd/benchstat"
	_ "honnef.co/go/tools/cmd/staticcheck"
)
