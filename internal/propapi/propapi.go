// SPDX-License-Identifier: Apache-2.0

// Package propapi serves the Properties API of the original, so that its tools
// and habits work: a property is one setting of a partition, named
// "PARTI00.storage.ncpaths".
//
// Answers are in the namespace http://msgs.eucalyptus.com/eucalyptus, with the
// prefix "euca" on each element: the oldest clients look for "euca:item" by its
// literal name. Setting a property that is read-only is an error here, where the
// original kept silent, and a set that fails has changed nothing. Some actions and
// parameters are ours; they are said to be so where they stand, and in
// docs/reference/properties.md.
package propapi

import (
	"context"
	"encoding/xml"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/auth"
	"github.com/mallee-io/mallee/internal/query"
)

// Properties is what the API needs of the cloud controller. Errors are
// *mallee.Error of kind NotFound, Invalid, ReadOnly, Changed or PathsUnreachable
// where the caller is at fault; a call that fails has changed nothing.
type Properties interface {
	Properties(ctx context.Context) ([]mallee.Property, error) // sorted by name
	// SetProperties makes all changes or none and returns what each has changed, in
	// their order. With force it makes those too that it would else refuse as
	// PathsUnreachable.
	SetProperties(ctx context.Context, sets []mallee.PropertySet, force bool) (changes []mallee.PropertyChange, warnings []string, err error)
	// PropertyHistory returns the changes of the properties whose names begin with
	// one of the prefixes, of all when there is none, the newest first and at most
	// most of them; 0 is no bound.
	PropertyHistory(ctx context.Context, prefixes []string, most int) ([]mallee.PropertyEvent, error)
	// CheckPaths tells what a value of an ncpaths or scpaths property means on each
	// machine; nil is the value that is set.
	CheckPaths(ctx context.Context, name string, value *string, probe bool) (mallee.PathCheck, error)
}

// Options is what the API is made of. All fields are required.
type Options struct {
	Properties Properties
	Verifier   *auth.Verifier
	Log        *slog.Logger
	Registry   *prometheus.Registry
}

// version is the only one that there ever was.
const version = "eucalyptus"

// NewHandler returns the API, to be mounted at "/services/Properties".
func NewHandler(o Options) http.Handler {
	return query.NewHandler(query.Options{
		API:          "properties",
		Actions:      api{o.Properties}.actions(),
		CheckVersion: checkVersion,
		Root:         root,
		Fault:        fault,
		Verifier:     o.Verifier,
		Version2:     true, // which is all that the original's older tools know
		Log:          o.Log,
		Registry:     o.Registry,
	})
}

// actions returns the table of actions, the original's first.
func (a api) actions() []query.Action {
	return []query.Action{
		query.HandleRead("DescribeProperties", a.describeProperties),
		query.Handle("ModifyPropertyValue", a.modifyPropertyValue),
		query.Handle("ModifyPropertyValues", a.modifyPropertyValues),
		query.HandleRead("DescribePropertyHistory", a.describePropertyHistory),
		query.HandleRead("DescribePathReach", a.describePathReach),
	}
}

func checkVersion(v string) error {
	if v != version {
		return query.Faultf("NoSuchVersion", "The requested version (%s) of service Properties does not exist: use %s", v, version)
	}
	return nil
}

func root(action, _ string) xml.StartElement {
	return xml.StartElement{
		Name: xml.Name{Local: "euca:" + action + "ResponseType"},
		Attr: []xml.Attr{{Name: xml.Name{Local: "xmlns:euca"}, Value: "http://msgs.eucalyptus.com/" + version}},
	}
}
