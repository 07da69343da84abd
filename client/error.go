// SPDX-License-Identifier: Apache-2.0

package client

import (
	"encoding/xml"
	"fmt"
	"net/http"
)

// APIError is a call that the cloud refused.
type APIError struct {
	Status    int    // of HTTP
	Code      string // "InvalidVolume.NotFound"; empty when something else than the API answered
	Message   string
	RequestID string // under which the cloud's logs tell more
}

// Error returns message and code, and the request id where the cloud is at fault.
func (e *APIError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("the endpoint answered %d %s and does not seem to be the cloud's", e.Status, http.StatusText(e.Status))
	}
	s := fmt.Sprintf("%s (%s)", e.Message, e.Code)
	if e.Status >= http.StatusInternalServerError {
		s += ", request " + e.RequestID
	}
	return s
}

func newAPIError(status int, body []byte) *APIError {
	var answer struct {
		XMLName xml.Name `xml:"Response"`
		Errors  []struct {
			Code    string
			Message string
		} `xml:"Errors>Error"`
		RequestID string
	}
	e := &APIError{Status: status}
	if xml.Unmarshal(body, &answer) == nil && len(answer.Errors) > 0 {
		e.Code, e.Message, e.RequestID = answer.Errors[0].Code, answer.Errors[0].Message, answer.RequestID
	}
	return e
}
