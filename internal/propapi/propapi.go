// SPDX-License-Identifier: Apache-2.0

// Package propapi serves the Properties API of the original, so that its tools
// and habits work: a property is one setting of a partition, named
// "PARTI00.storage.ncpaths".
//
// Answers are in the namespace http://msgs.eucalyptus.com/eucalyptus, with the
// prefix "euca" on each element: the oldest clients look for "euca:item" by its
// literal name. Setting a property that is read-only is an error here, where the
// original kept silent, and a set that fails has changed nothing.
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
// *mallee.Error of kind NotFound, Invalid or ReadOnly where the caller is at
// fault; a call that fails has changed nothing.
type Properties interface {
	Properties(ctx context.Context) ([]mallee.Property, error) // sorted by name
	SetProperty(ctx context.Context, name, value string) (mallee.PropertyChange, error)
	ResetProperty(ctx context.Context, name string) (mallee.PropertyChange, error)
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
	a := api{o.Properties}
	return query.NewHandler(query.Options{
		API: "properties",
		Actions: []query.Action{
			query.HandleRead("DescribeProperties", a.describeProperties),
			query.Handle("ModifyPropertyValue", a.modifyPropertyValue),
		},
		CheckVersion: checkVersion,
		Root:         root,
		Fault:        fault,
		Verifier:     o.Verifier,
		Version2:     true, // which is all that the original's older tools know
		Log:          o.Log,
		Registry:     o.Registry,
	})
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
