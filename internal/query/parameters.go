// SPDX-License-Identifier: Apache-2.0

package query

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// maxParameters bounds the parameters of one call. EC2 takes a thousand ids, and
// there are tags or filters beside them. Decoding takes time that grows with
// their number times that of the fields.
const maxParameters = 2000

// parameters are the named values of one call, each name once.
type parameters map[string]string

// parse merges the parameters of the query string and of the body, a form.
func parse(query string, body []byte) (parameters, error) {
	p := parameters{}
	for _, form := range []string{query, string(body)} {
		// Before anything is made of them: each takes more memory than it is long.
		if strings.Count(form, "&") >= maxParameters {
			return nil, tooMany()
		}
		values, err := url.ParseQuery(form)
		if err != nil {
			return nil, Faultf("MalformedQueryString", "The parameters are not a valid form: %s", err)
		}
		if len(p)+len(values) > maxParameters {
			return nil, tooMany()
		}
		for name, list := range values {
			if _, again := p[name]; again || len(list) > 1 {
				return nil, Faultf("InvalidParameterCombination", "The parameter %s is there more than once", name)
			}
			if !utf8.ValidString(name) || !utf8.ValidString(list[0]) {
				return nil, Faultf("MalformedQueryString", "The parameter %q is not valid UTF-8", name)
			}
			if strings.ContainsFunc(name+list[0], notXML) {
				return nil, Faultf("InvalidParameterValue", "The parameter %q has a character that XML 1.0 cannot hold, and could not be given back", name)
			}
			p[name] = list[0]
		}
	}
	return p, nil
}

func tooMany() *Fault {
	return Faultf("RequestResourceCountExceeded", "The request has more than %d parameters", maxParameters)
}

// notXML reports whether c is outside what XML 1.0 §2.2 calls a character.
func notXML(c rune) bool {
	return c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0xFFFE || c == 0xFFFF
}
