// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/mallee-io/mallee"
)

type propertyRecord struct {
	Name        string              `json:"name"`
	Value       string              `json:"value"`
	Default     string              `json:"default"`
	Description string              `json:"description"`
	ReadOnly    bool                `json:"read_only"`
	Type        mallee.PropertyType `json:"type,omitempty"`
	Rule        string              `json:"rule,omitempty"`
	Reacts      string              `json:"reacts,omitempty"`
	Hidden      bool                `json:"hidden,omitempty"`
}

type changeRecord struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	OldValue string `json:"old_value"`
}

type eventRecord struct {
	changeRecord
	Time      time.Time        `json:"time"`
	AccessKey string           `json:"access_key"`
	RequestID mallee.RequestID `json:"request_id"`
	Reset     bool             `json:"reset"`
	Forced    bool             `json:"forced"`
}

func recordProperty(p mallee.Property) propertyRecord {
	d, _ := definitionOf(p.Name)
	return propertyRecord{
		Name: p.Name, Value: p.Value, Default: p.Default, Description: p.Description, ReadOnly: p.ReadOnly,
		Type: d.Type, Rule: d.Rule, Reacts: d.Reacts, Hidden: d.Hidden,
	}
}

func recordPropertyChange(c mallee.PropertyChange) changeRecord { return changeRecord(c) }

func recordEvent(e mallee.PropertyEvent) eventRecord {
	return eventRecord{
		changeRecord: recordPropertyChange(e.PropertyChange),
		Time:         e.Time, AccessKey: e.AccessKey, RequestID: e.RequestID, Reset: e.Reset, Forced: e.Forced,
	}
}
