// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

const ncpaths, sanpassword = "PARTI00.storage.ncpaths", "PARTI00.storage.sanpassword"

// set sets a property, which has to succeed.
func (c *cluster) set(name, value string) mallee.PropertyChange {
	c.t.Helper()
	changes, _, err := c.SetProperties(c.t.Context(), []mallee.PropertySet{{Name: name, Value: value}}, false)
	if err != nil {
		c.t.Fatal(err)
	}
	return changes[0]
}

// value returns a property as the API shows it.
func (c *cluster) value(name string) string {
	c.t.Helper()
	list, err := c.Properties(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(p mallee.Property) bool { return p.Name == name })
	if i < 0 {
		c.t.Fatalf("there is no property %s", name)
	}
	return list[i].Value
}

// ready returns a cluster with a storage controller, whose partition is known.
func ready(t *testing.T) (*cluster, *sc) {
	c := newCluster(t)
	s := c.sc("sc1", partition)
	s.until("the first state", func(*cloudv1.PartitionState) bool { return true })
	return c, s
}

func TestPropertiesAreThoseOfTheTable(t *testing.T) {
	c := newCluster(t)
	if list, err := c.Properties(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("without a partition there are properties %v, %v", list, err)
	}
	c.sc("sc1", partition).until("the first state", func(*cloudv1.PartitionState) bool { return true })
	c.sc("sc2", "PARTI01").until("the first state", func(*cloudv1.PartitionState) bool { return true })
	list, err := c.Properties(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var want []mallee.Property
	for _, p := range []string{"PARTI00.", "PARTI01."} {
		for _, d := range mallee.PropertyDefinitions() {
			want = append(want, mallee.Property{Name: p + d.Name, Value: d.Default, Default: d.Default, Description: d.Description})
		}
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Error(diff)
	}
}

func TestAgentsAreToldWhatIsSet(t *testing.T) {
	v := viewOf(1, "10.107.1.200")
	v.nodes["nc00"] = nodeRecord{Partition: partition, InstanceID: "i-00000000", CHAP: mallee.CHAP{Username: "i-00000000", Password: "its own"}}
	v.attachments = map[string]attachmentRecord{"vol-00000001": {Partition: partition, InstanceID: "i-00000000"}}
	node, part := v.nodeState(v.nodes["nc00"]), v.partitionState(partition)
	if node.Ncpaths != "10.107.1.200" || node.NopathTimeoutSeconds != 120 || node.MinPaths != 1 || node.Chap.Username != "i-00000000" {
		t.Errorf("by default a node is told %v", node)
	}
	if part.Scpaths != "nopath" || part.Sanhost+part.SanUser+part.SanPassword+part.ResourcePrefix+part.ResourceSuffix != "" || part.Exports[0].Chap.Username != "i-00000000" {
		t.Errorf("by default a storage controller is told %v", part)
	}
	for name, value := range map[string]string{
		"nopathtimeout": "30", "minpaths": "2", "chapuser": "mallee", "scpaths": "10.107.1.200", "sanhost": "10.109.1.26,10.109.1.27",
		"sanuser": "admin", "sanpassword": "s3cret", "resourceprefix": "prod-", "resourcesuffix": "-a",
	} {
		v.properties[partition+".storage."+name] = propertyRecord{Value: value}
	}
	node, part = v.nodeState(v.nodes["nc00"]), v.partitionState(partition)
	if node.NopathTimeoutSeconds != 30 || node.MinPaths != 2 || node.Chap.Username != "mallee" || node.Chap.Password != "its own" {
		t.Errorf("a node is told %v", node)
	}
	want := &cloudv1.PartitionState{
		Partition: partition, Sanhost: "10.109.1.26,10.109.1.27", Scpaths: "10.107.1.200", SanUser: "admin", SanPassword: "s3cret",
		ResourcePrefix: "prod-", ResourceSuffix: "-a", Exports: part.Exports,
	}
	if !proto.Equal(part, want) || part.Exports[0].Chap.Username != "mallee" {
		t.Errorf("a storage controller is told %v", part)
	}
}

func TestASetIsToldAtOnce(t *testing.T) {
	c, s := ready(t)
	n := c.nc("nc1")
	change := c.set("PARTI00.storage.nopathtimeout", " 30\n")
	if diff := cmp.Diff(mallee.PropertyChange{Name: "PARTI00.storage.nopathtimeout", Value: "30", OldValue: "120"}, change); diff != "" {
		t.Error(diff)
	}
	n.until("the new timeout", func(m *cloudv1.NodeState) bool { return m.NopathTimeoutSeconds == 30 })
	c.set("PARTI00.storage.sanhost", "10.109.1.26")
	s.until("the SAN", func(m *cloudv1.PartitionState) bool { return m.Sanhost == "10.109.1.26" })
}

func TestSeveralPropertiesAreSetAtOnce(t *testing.T) {
	c, _ := ready(t)
	c.sc("sc2", "PARTI01").until("the first state", func(*cloudv1.PartitionState) bool { return true })
	c.set("PARTI00.storage.sanuser", "admin")
	seen := "admin"
	changes, warnings, err := c.SetProperties(t.Context(), []mallee.PropertySet{
		{Name: "PARTI01.storage.ncpaths", Value: "10.108.1.1"},
		{Name: sanpassword, Value: "s3cret"},
		{Name: "PARTI00.storage.sanuser", Reset: true, If: &seen},
		{Name: "PARTI00.storage.minpaths", Value: "1"}, // as it is
	}, false)
	if err != nil || len(warnings) != 1 { // that nobody is there to tell of the paths
		t.Fatal(warnings, err)
	}
	want := []mallee.PropertyChange{
		{Name: "PARTI01.storage.ncpaths", Value: "10.108.1.1", OldValue: "nopath"},
		{Name: sanpassword, Value: mallee.HiddenValue},
		{Name: "PARTI00.storage.sanuser", OldValue: "admin"},
		{Name: "PARTI00.storage.minpaths", Value: "1", OldValue: "1"},
	}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Error(diff)
	}
	c.restart()
	for name, value := range map[string]string{
		"PARTI01.storage.ncpaths": "10.108.1.1", ncpaths: "nopath", "PARTI00.storage.sanuser": "", sanpassword: mallee.HiddenValue,
		"PARTI01.storage.sanpassword": "",
	} {
		if got := c.value(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
}

// A set that is refused changes nothing, and of a hidden property the old value
// stays: the original put what it shows in its place.
func TestASetThatIsRefusedChangesNothing(t *testing.T) {
	c, s := ready(t)
	c.set(sanpassword, "0ld-s3cret")
	c.set("PARTI00.storage.sanuser", "admin")
	c.available(s)
	before, err := c.Properties(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	history, err := c.PropertyHistory(t.Context(), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	one := func(name, value string) []mallee.PropertySet {
		return []mallee.PropertySet{{Name: name, Value: value}}
	}
	other, admin, none := "root", "admin", ""
	for name, test := range map[string]struct {
		sets  []mallee.PropertySet
		kind  mallee.Kind
		tells []string
	}{
		"unknown property":     {one("PARTI00.storage.nothing", "x"), mallee.NotFound, []string{"PARTI00.storage.nothing"}},
		"unknown partition":    {one("NOWHERE.storage.ncpaths", "nopath"), mallee.NotFound, []string{"NOWHERE.storage.ncpaths"}},
		"no partition":         {one("storage.ncpaths", "nopath"), mallee.NotFound, []string{"storage.ncpaths"}},
		"no name":              {one("", "nopath"), mallee.NotFound, nil},
		"a path":               {one("a/b.storage.ncpaths", "nopath"), mallee.NotFound, nil},
		"code to evaluate":     {one("euca", "System.exit(0)"), mallee.NotFound, nil},
		"empty list":           {one(ncpaths, ""), mallee.Invalid, []string{ncpaths, "list is empty"}},
		"empty element":        {one("PARTI00.storage.scpaths", "10.1.1.1,,10.1.1.2"), mallee.Invalid, []string{"element 2"}},
		"command in a label":   {one(ncpaths, "iface0;reboot:10.1.1.1"), mallee.Invalid, []string{"iface0;reboot"}},
		"no number":            {one("PARTI00.storage.nopathtimeout", "0"), mallee.Invalid, []string{`"0"`, "1 to 3600"}},
		"the asterisks":        {one(sanpassword, mallee.HiddenValue), mallee.Invalid, []string{"asterisks"}},
		"a bad password":       {one(sanpassword, "n3w\ts3cret"), mallee.Invalid, []string{sanpassword}},
		"another backend":      {one("PARTI00.storage.blockstoragemanager", "netapp"), mallee.ReadOnly, []string{"Cannot change extant storage backend configuration"}},
		"much too long":        {one(ncpaths, "10.1.1.1,"+strings.Repeat(" ", 17<<10)+"10.1.1.2"), mallee.Invalid, []string{"16384"}},
		"set and reset":        {[]mallee.PropertySet{{Name: ncpaths, Value: "10.1.1.1", Reset: true}}, mallee.Invalid, []string{"set or reset"}},
		"twice":                {append(one(ncpaths, "10.1.1.1"), one(ncpaths, "10.1.1.1")...), mallee.Invalid, []string{ncpaths, "twice"}},
		"one of two":           {append(one(sanpassword, "n3w-s3cret"), one("PARTI00.storage.minpaths", "many")...), mallee.Invalid, []string{"many"}},
		"one of two unknown":   {append(one(sanpassword, "n3w-s3cret"), one("PARTI00.storage.x", "")...), mallee.NotFound, nil},
		"too many":             {slices.Repeat(one(ncpaths, "10.1.1.1"), 41), mallee.Invalid, []string{"41", "40"}},
		"another value seen":   {[]mallee.PropertySet{{Name: sanpassword, Value: "n3w"}, {Name: "PARTI00.storage.sanuser", Value: "x", If: &other}}, mallee.Changed, []string{`"root"`, `"admin"`}},
		"nothing was seen":     {[]mallee.PropertySet{{Name: "PARTI00.storage.sanuser", Value: "x", If: &none}}, mallee.Changed, []string{`"admin"`}},
		"a reset on condition": {[]mallee.PropertySet{{Name: "PARTI00.storage.sanuser", Reset: true, If: &other}}, mallee.Changed, []string{`"admin"`}},
		"a guess":              {[]mallee.PropertySet{{Name: sanpassword, Value: "0ld-s3cret", If: new("0ld-s3cret")}}, mallee.Invalid, []string{"hidden"}},
		"a guess beside":       {[]mallee.PropertySet{{Name: "PARTI00.storage.sanuser", Value: "x", If: &admin}, {Name: sanpassword, Reset: true, If: new("x")}}, mallee.Invalid, []string{"hidden"}},
	} {
		t.Run(name, func(t *testing.T) {
			changes, _, err := c.SetProperties(t.Context(), test.sets, false)
			wantError(t, err, test.kind, test.tells...)
			if changes != nil {
				t.Errorf("it tells of changes %v", changes)
			}
		})
	}
	after, err := c.Properties(t.Context())
	if diff := cmp.Diff(before, after); diff != "" || err != nil {
		t.Error(diff, err)
	}
	events, err := c.PropertyHistory(t.Context(), nil, 0)
	if diff := cmp.Diff(history, events); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if got := c.view().settings(partition)[mallee.PropertySANPassword]; got != "0ld-s3cret" {
		t.Errorf("the SAN's password has become %q", got)
	}
}

// Without volumes the backend could be changed, if there were another.
func TestAnUnknownBackendIsRefused(t *testing.T) {
	c, _ := ready(t)
	_, _, err := c.SetProperties(t.Context(), []mallee.PropertySet{{Name: "PARTI00.storage.blockstoragemanager", Value: "netapp"}}, false)
	wantError(t, err, mallee.Invalid, "Cannot modify", "new value is not a valid value.  Legal values are: mallee")
	if change := c.set("PARTI00.storage.blockstoragemanager", "mallee"); change.OldValue != "mallee" {
		t.Errorf("it was %q", change.OldValue)
	}
}

func TestHiddenValuesStayHere(t *testing.T) {
	c, _ := ready(t)
	const first, second = "f1rst-s3cret", "s3cond-s3cret"
	c.set(sanpassword, first)
	if change := c.set(sanpassword, second); change.Value != mallee.HiddenValue || change.OldValue != mallee.HiddenValue {
		t.Errorf("it tells of %+v", change)
	}
	events, err := c.PropertyHistory(t.Context(), nil, 0)
	if err != nil || len(events) != 2 {
		t.Fatal(events, err)
	}
	want := []mallee.PropertyChange{
		{Name: sanpassword, Value: mallee.HiddenValue, OldValue: mallee.HiddenValue}, {Name: sanpassword, Value: mallee.HiddenValue},
	}
	if diff := cmp.Diff(want, []mallee.PropertyChange{events[0].PropertyChange, events[1].PropertyChange}); diff != "" {
		t.Error(diff)
	}
	for _, secret := range []string{first, second} {
		if strings.Contains(c.log.String(), secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
}

// Of any number who go by the same value, one is the first.
func TestOneOfTwoConditionalSetsWins(t *testing.T) {
	c, _ := ready(t)
	const callers = 8
	results := make(chan error, callers)
	for range callers {
		go func() {
			seen := "1"
			_, _, err := c.SetProperties(t.Context(), []mallee.PropertySet{{Name: "PARTI00.storage.minpaths", Value: "2", If: &seen}}, false)
			results <- err
		}()
	}
	won := 0
	for range callers {
		switch err := <-results; mallee.KindOf(err) {
		case mallee.Changed:
		case mallee.Unavailable: // overtaken each time by what it had nothing to do with
			t.Error(err)
		default:
			if err != nil {
				t.Error(err)
			}
			won++
		}
	}
	events, err := c.PropertyHistory(t.Context(), nil, 0)
	if won != 1 || len(events) != 1 || err != nil {
		t.Errorf("%d have won, the history is %v, %v", won, events, err)
	}
}

// Sets that have nothing to do with each other do not make each other fail.
func TestManySetsAtOnceAllGetThere(t *testing.T) {
	c, _ := ready(t)
	names := []string{"sanuser", "sanpassword", "chapuser", "resourceprefix", "resourcesuffix"}
	results := make(chan error, len(names))
	for _, name := range names {
		go func() {
			_, _, err := c.SetProperties(t.Context(), []mallee.PropertySet{{Name: "PARTI00.storage." + name, Value: "x"}}, false)
			results <- err
		}()
	}
	for range names {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}
