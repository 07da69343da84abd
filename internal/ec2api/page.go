// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/mallee-io/mallee/internal/query"
)

// page holds the parameters of a call that lists a page at a time. Its answer
// has everything when MaxResults is absent.
type page struct {
	MaxResults *int   `query:"MaxResults"`
	NextToken  string `query:"NextToken"`
}

// pages is how an action lists page by page. Its kind stands in the tokens, so
// that the token of another action is refused.
type pages struct {
	kind     string
	min, max int // of MaxResults, as EC2's reference of the action has them
}

var (
	volumePages       = pages{"volume", 1, 1000}
	statusPages       = pages{"status", 5, 1000}
	modificationPages = pages{"modification", 1, 500}
	instancePages     = pages{"instance", 5, 1000}
	tagPages          = pages{"tag", 5, 1000}
)

func (k pages) check(p page) error {
	if p.MaxResults != nil {
		if n := *p.MaxResults; n < k.min || n > k.max {
			return query.BadValue("MaxResults", strconv.Itoa(n), fmt.Sprintf("Expected a value from %d to %d.", k.min, k.max))
		}
	}
	if _, ok := k.after(p.NextToken); !ok {
		return query.Faultf("InvalidNextToken", "The token '%s' is invalid", p.NextToken)
	}
	return nil
}

// checkUnnamed refuses a page of a list whose ids the caller has given, as EC2 does.
func (p page) checkUnnamed(parameter string, ids []string) error {
	if p.MaxResults != nil && len(ids) > 0 {
		return query.Faultf("InvalidParameterCombination", "The parameter %s cannot be used with the parameter MaxResults", parameter)
	}
	return nil
}

// after returns the id after which the page begins. The token holds it, and not
// a position, so that it stays good when objects come and go in between.
func (k pages) after(token string) (id string, ok bool) {
	if token == "" {
		return "", true
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", false
	}
	return strings.CutPrefix(string(b), k.kind+":")
}

// cut returns the page of a list that is sorted by id, and the token of the
// next; "" when there is none.
func cut[T any](k pages, p page, list []T, id func(T) string) ([]T, string) {
	if after, _ := k.after(p.NextToken); after != "" {
		list = keep(list, func(object T) bool { return id(object) > after })
	}
	if p.MaxResults == nil || len(list) <= *p.MaxResults {
		return list, ""
	}
	list = list[:*p.MaxResults]
	last := id(list[len(list)-1])
	return list, base64.RawURLEncoding.EncodeToString([]byte(k.kind + ":" + last))
}
