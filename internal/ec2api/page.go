// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/mallee-io/mallee/internal/query"
)

// page holds the parameters of a call that lists a page at a time. Its answer
// has everything when MaxResults is absent.
type page struct {
	MaxResults *int   `query:"MaxResults"` // 5 to 1000, as in EC2
	NextToken  string `query:"NextToken"`
}

// check refuses a page of a list whose ids the caller has given, as EC2 does.
func (p page) check(parameter string, ids int) error {
	if p.MaxResults != nil {
		if ids > 0 {
			return query.Faultf("InvalidParameterCombination", "The parameter %s cannot be used with the parameter MaxResults", parameter)
		}
		if n := *p.MaxResults; n < 5 || n > 1000 {
			return query.BadValue("MaxResults", strconv.Itoa(n), "Expected a value from 5 to 1000.")
		}
	}
	if _, ok := p.after(); !ok {
		return query.Faultf("InvalidNextToken", "The token '%s' is invalid", p.NextToken)
	}
	return nil
}

const tokenPrefix = "after:"

// after returns the id after which the page begins, which the token holds, so
// that it stays good when objects come and go in between.
func (p page) after() (id string, ok bool) {
	if p.NextToken == "" {
		return "", true
	}
	b, err := base64.RawURLEncoding.DecodeString(p.NextToken)
	if err != nil {
		return "", false
	}
	return strings.CutPrefix(string(b), tokenPrefix)
}

// cut returns the page of a list that is sorted by id, and the token of the
// next; "" when there is none.
func cut[T any](p page, list []T, id func(T) string) ([]T, string) {
	if after, _ := p.after(); after != "" {
		list = keep(list, func(object T) bool { return id(object) > after })
	}
	if p.MaxResults == nil || len(list) <= *p.MaxResults {
		return list, ""
	}
	list = list[:*p.MaxResults]
	last := id(list[len(list)-1])
	return list, base64.RawURLEncoding.EncodeToString([]byte(tokenPrefix + last))
}
