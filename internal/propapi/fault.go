// SPDX-License-Identifier: Apache-2.0

package propapi

import (
	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/query"
)

// fault maps an error to the original's texts, and to codes in EC2's manner,
// which the original did not have.
func fault(e *mallee.Error) *query.Fault {
	switch e.Kind {
	case mallee.NotFound:
		return query.Faultf("InvalidProperty.NotFound", "%sNo such property: %s", prefix(e), e.ID)
	case mallee.ReadOnly:
		return failed("OperationNotPermitted", e)
	case mallee.PathsUnreachable:
		f := failed("PathsUnreachable", e)
		f.Whole = true // it tells of each machine and path
		return f
	case mallee.Changed:
		return failed("PropertyChanged", e)
	case mallee.IncorrectState:
		return failed("IncorrectState", e)
	case mallee.Denied:
		return &query.Fault{Code: "UnauthorizedOperation", Message: e.Error()}
	case mallee.Unavailable:
		return &query.Fault{Code: "Unavailable", Message: e.Error()}
	}
	return failed("InvalidParameterValue", e)
}

func failed(code string, e *mallee.Error) *query.Fault {
	message := prefix(e)
	if e.ID != "" {
		message += e.ID + ": "
	}
	message += e.Err.Error()
	if e.Hint != "" {
		message += ". " + e.Hint
	}
	return &query.Fault{Code: code, Message: message}
}

// prefix returns how the original began its texts about sets.
func prefix(e *mallee.Error) string {
	if e.Op == "set" || e.Op == "reset" {
		return "Failed to set property: "
	}
	return ""
}
