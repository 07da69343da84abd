// SPDX-License-Identifier: Apache-2.0

package query

import (
	"net/url"
	"unicode/utf8"
)

// maxParameters bounds the parameters of one call. Decoding takes time that
// grows with their number times that of the fields.
const maxParameters = 1000

// parameters are the named values of one call, each name once.
type parameters map[string]string

// parse merges the parameters of the query string and of the body, a form.
func parse(query string, body []byte) (parameters, error) {
	p := parameters{}
	for _, form := range []string{query, string(body)} {
		values, err := url.ParseQuery(form)
		if err != nil {
			return nil, Faultf("MalformedQueryString", "The parameters are not a valid form: %s", err)
		}
		if len(p)+len(values) > maxParameters {
			return nil, Faultf("RequestResourceCountExceeded", "The request has more than %d parameters", maxParameters)
		}
		for name, list := range values {
			if _, again := p[name]; again || len(list) > 1 {
				return nil, Faultf("InvalidParameterCombination", "The parameter %s is there more than once", name)
			}
			if !utf8.ValidString(name) || !utf8.ValidString(list[0]) {
				return nil, Faultf("MalformedQueryString", "The parameter %q is not valid UTF-8", name)
			}
			p[name] = list[0]
		}
	}
	return p, nil
}
