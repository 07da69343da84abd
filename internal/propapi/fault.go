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
		return query.Faultf("InvalidProperty.NotFound", "Failed to set property: No such property: %s", e.ID)
	case mallee.ReadOnly:
		return failedToSet("OperationNotPermitted", e)
	case mallee.PathsUnreachable:
		return failedToSet("PathsUnreachable", e)
	case mallee.IncorrectState:
		return failedToSet("IncorrectState", e)
	case mallee.Denied:
		return &query.Fault{Code: "UnauthorizedOperation", Message: e.Error()}
	case mallee.Unavailable:
		return &query.Fault{Code: "Unavailable", Message: e.Error()}
	}
	return failedToSet("InvalidParameterValue", e)
}

func failedToSet(code string, e *mallee.Error) *query.Fault {
	message := "Failed to set property: " + e.ID + ": " + e.Err.Error()
	if e.Hint != "" {
		message += ". " + e.Hint
	}
	return &query.Fault{Code: code, Message: message}
}
