// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

// callTimeout is how long one call may take. The calls only write down or read
// what is wished; what becomes of it is asked for by further calls.
const callTimeout = 30 * time.Second

// cloud is what the tool needs of the CLC.
type cloud struct {
	volumes
	fleet
	properties
}

type volumes interface {
	Volumes(ctx context.Context) ([]mallee.Volume, error)
	Volume(ctx context.Context, id mallee.VolumeID) (mallee.Volume, error)
	CreateVolume(ctx context.Context, spec mallee.VolumeSpec) (mallee.Volume, error)
	DeleteVolume(ctx context.Context, id mallee.VolumeID) error
	AttachVolume(ctx context.Context, id mallee.VolumeID, instance mallee.InstanceID, device string) (mallee.Attachment, error)
	DetachVolume(ctx context.Context, id mallee.VolumeID, instance mallee.InstanceID, device string) (mallee.Attachment, error)
}

type fleet interface {
	Nodes(ctx context.Context) ([]mallee.Node, error)
	Paths(ctx context.Context, ids ...mallee.VolumeID) ([]mallee.Path, error)
}

type properties interface {
	Properties(ctx context.Context, prefixes ...string) ([]mallee.Property, error)
	SetProperty(ctx context.Context, name, value string) (mallee.PropertyChange, error)
	ResetProperty(ctx context.Context, name string) (mallee.PropertyChange, error)
}

// connect returns the cloud that the environment names. Nothing is sent yet.
func (t *tool) connect() (cloud, error) {
	config := client.Config{
		Endpoint:  t.getenv("MALLEE_ENDPOINT"),
		AccessKey: t.getenv("AWS_ACCESS_KEY_ID"),
		SecretKey: t.getenv("AWS_SECRET_ACCESS_KEY"),
		Region:    t.getenv("AWS_DEFAULT_REGION"),
		CAFile:    t.getenv("AWS_CA_BUNDLE"),
	}
	if config.Endpoint == "" {
		// Scripts of the original name the one service only.
		config.Endpoint = strings.TrimSuffix(t.getenv("EUCA_PROPERTIES_URL"), "/services/Properties")
	}
	var missing []string
	for _, variable := range []struct{ name, value string }{
		{"MALLEE_ENDPOINT", config.Endpoint},
		{"AWS_ACCESS_KEY_ID", config.AccessKey},
		{"AWS_SECRET_ACCESS_KEY", config.SecretKey},
	} {
		if variable.value == "" {
			missing = append(missing, variable.name)
		}
	}
	if len(missing) > 0 {
		return cloud{}, &mallee.Error{
			Op: "reach the cloud", Kind: mallee.Invalid,
			Err:  errors.New(strings.Join(missing, ", ") + " not set in the environment"),
			Hint: "on the machine of the CLC: " + sourceEnvironment,
		}
	}
	c, err := t.dial(config)
	if err != nil { // nobody was called; a value is wrong
		return cloud{}, &mallee.Error{Op: "reach the cloud", Kind: mallee.Invalid, Err: err}
	}
	return c, nil
}

// call runs one call with a deadline of its own.
func call[T any](ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return f(ctx)
}
