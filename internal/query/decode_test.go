// SPDX-License-Identifier: Apache-2.0

package query

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type common struct {
	DryRun bool `query:"DryRun"`
}

type pair struct {
	Name   string   `query:"Name,required"`
	Values []string `query:"Value"`
}

type everything struct {
	common
	Size    int      `query:"Size,required"`
	Value   *string  `query:"Value"`
	Max     *int     `query:"MaxResults"`
	IDs     []string `query:"VolumeId"`
	Filters []pair   `query:"Filter"`
}

func TestDecode(t *testing.T) {
	empty, seven := "", 7
	for name, c := range map[string]struct {
		query, body string
		want        everything
		fault       string // its code
		names       string // what the message must contain
	}{
		"least":                  {query: "Size=1", want: everything{Size: 1}},
		"query and body":         {query: "Size=1", body: "DryRun=TRUE", want: everything{Size: 1, common: common{DryRun: true}}},
		"negative":               {query: "Size=-3", want: everything{Size: -3}},
		"pointers":               {body: "Size=1&Value=&MaxResults=7", want: everything{Size: 1, Value: &empty, Max: &seven}},
		"list":                   {body: "Size=1&VolumeId.1=a&VolumeId.2=b", want: everything{Size: 1, IDs: []string{"a", "b"}}},
		"list with gaps":         {body: "Size=1&VolumeId.10=b&VolumeId.9=a", want: everything{Size: 1, IDs: []string{"a", "b"}}},
		"list of structs":        {body: "Size=1&Filter.2.Name=n&Filter.2.Value.1=x&Filter.2.Value.2=y", want: everything{Size: 1, Filters: []pair{{"n", []string{"x", "y"}}}}},
		"escapes":                {body: "Size=1&VolumeId.1=%C3%A9+%26", want: everything{Size: 1, IDs: []string{"é &"}}},
		"missing":                {fault: "MissingParameter", names: "Size"},
		"required but empty":     {query: "Size=", fault: "MissingParameter", names: "Size"},
		"missing in a list":      {query: "Size=1&Filter.1.Value.1=x", fault: "MissingParameter", names: "Filter.1.Name"},
		"no integer":             {query: "Size=big", fault: "InvalidParameterValue", names: "Value (big) for parameter size"},
		"integer too large":      {query: "Size=99999999999999999999", fault: "InvalidParameterValue", names: "99999999999999999999"},
		"no bool":                {query: "Size=1&DryRun=1", fault: "InvalidParameterValue", names: "Value (1) for parameter dryRun"},
		"unknown":                {query: "Size=1&Encrypted=true", fault: "UnknownParameter", names: "Encrypted"},
		"list without a number":  {query: "Size=1&VolumeId=a", fault: "UnknownParameter", names: "VolumeId"},
		"number spelt otherwise": {query: "Size=1&VolumeId.01=a", fault: "UnknownParameter", names: "VolumeId.01"},
		"below a scalar":         {query: "Size=1&VolumeId.1.Name=a", fault: "UnknownParameter", names: "VolumeId.1.Name"},
		"twice":                  {query: "Size=1&Size=2", fault: "InvalidParameterCombination", names: "Size"},
		"in query and body":      {query: "Size=1", body: "Size=1", fault: "InvalidParameterCombination", names: "Size"},
		"malformed escape":       {query: "Size=%zz", fault: "MalformedQueryString", names: "%zz"},
		"no UTF-8":               {query: "Size=%ff", fault: "MalformedQueryString", names: "Size"},
		"too many":               {query: "Size=1", body: many(maxParameters), fault: "RequestResourceCountExceeded", names: "2000"},
	} {
		t.Run(name, func(t *testing.T) {
			var got everything
			p, err := parse(c.query, []byte(c.body))
			if err == nil {
				err = decode(p, &got)
			}
			if c.fault != "" {
				f, ok := errors.AsType[*Fault](err)
				if !ok || f.Code != c.fault || !strings.Contains(f.Message, c.names) {
					t.Errorf("got %v, want %s with %q in its message", err, c.fault, c.names)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got, cmp.AllowUnexported(everything{})); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// many returns a form with n parameters.
func many(n int) string {
	v := url.Values{}
	for i := range n {
		v.Set("p"+strings.Repeat("x", i), "")
	}
	return v.Encode()
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"Action=DescribeVolumes&Size=1&VolumeId.1=vol-1a2b3c4d", "Size=1&Filter.1.Name=status&Filter.1.Value.1=in-use",
		"Size=1&Filter.99999999999.Name=x", "Size=1&VolumeId.-1=x&VolumeId..=y", "Size=1&DryRun=True&Value=", "&&=&a=b;c",
	} {
		f.Add(seed, "")
	}
	f.Fuzz(func(t *testing.T, query, body string) {
		p, err := parse(query, []byte(body))
		if err != nil {
			return
		}
		var in everything
		if err := decode(p, &in); err != nil {
			return
		}
		// Everything that was there was heard: no value is dropped in silence.
		heard := 1 + len(in.IDs)
		for _, filter := range in.Filters {
			heard += 1 + len(filter.Values)
		}
		if in.Value != nil {
			heard++
		}
		if in.Max != nil {
			heard++
		}
		if _, ok := p["DryRun"]; ok {
			heard++
		}
		if heard != len(p) {
			t.Fatalf("%d of %d parameters were heard of %q %q", heard, len(p), query, body)
		}
	})
}
