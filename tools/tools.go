//go:build tools

// Package tools pins the versions of the linters.
package tools

import _ "honnef.co/go/tools/cmd/staticcheck"
