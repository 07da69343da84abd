// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

// recorder returns a client of a server that answers with what answer returns for
// the parameters of a call, and the list of these.
func recorder(t *testing.T, answer func(url.Values) string) (*client.Client, *[]url.Values) {
	t.Helper()
	var calls []url.Values
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		r.PostForm.Del("Version")
		calls = append(calls, r.PostForm)
		_, _ = w.Write([]byte(answer(r.PostForm)))
	}))
	t.Cleanup(s.Close)
	c, err := client.New(client.Config{Endpoint: s.URL, AccessKey: "a", SecretKey: "s"})
	if err != nil {
		t.Fatal(err)
	}
	return c, &calls
}

func TestEachVolume(t *testing.T) {
	tokens := []string{"", "b", "c", ""}
	c, calls := recorder(t, func(params url.Values) string {
		i := slices.Index(tokens, params.Get("NextToken"))
		return fmt.Sprintf(`<R><volumeSet><item><volumeId>vol-0000000%d</volumeId></item><item><volumeId>vol-0000001%d</volumeId></item></volumeSet><nextToken>%s</nextToken></R>`, i, i, tokens[i+1])
	})
	query := client.VolumeQuery{
		PageSize: 5,
		Filters:  []client.Filter{{Name: "status", Values: []string{"available", "in-use"}}, {Name: "tag:team", Values: []string{"web*"}}},
	}
	all := c.EachVolume(t.Context(), query)
	var got []mallee.VolumeID
	for v, err := range all {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, v.ID)
	}
	if d := cmp.Diff([]mallee.VolumeID{"vol-00000000", "vol-00000010", "vol-00000001", "vol-00000011", "vol-00000002", "vol-00000012"}, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	want := url.Values{
		"Action": {"DescribeVolumes"}, "MaxResults": {"5"}, "NextToken": {"c"},
		"Filter.1.Name": {"status"}, "Filter.1.Value.1": {"available"}, "Filter.1.Value.2": {"in-use"},
		"Filter.2.Name": {"tag:team"}, "Filter.2.Value.1": {"web*"},
	}
	if d := cmp.Diff(want, (*calls)[2]); d != "" {
		t.Errorf("the third call (-want +got)\n%s", d)
	}

	// Who has seen enough does not pay for the rest, and may begin anew.
	*calls = nil
	for v, err := range all {
		if err != nil || v.ID != "vol-00000000" {
			t.Errorf("the first is %s, %v", v.ID, err)
		}
		break
	}
	if len(*calls) != 1 {
		t.Errorf("%d calls for one volume", len(*calls))
	}
}

func TestEachVolumeEndsWithAnError(t *testing.T) {
	var errs int
	for _, err := range answering(t, 400, "<Response/>").EachVolume(t.Context(), client.VolumeQuery{}) {
		if err == nil {
			t.Error("a volume of nowhere")
		}
		errs++
	}
	if errs != 1 {
		t.Errorf("%d errors", errs)
	}
}
