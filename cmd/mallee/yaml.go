// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// encodeYAML writes what encodeJSON writes, as YAML. It goes by way of JSON, so
// that the names and the order of fields are declared once.
func encodeYAML(value any) ([]byte, error) {
	b, err := encodeJSON(value)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.UseNumber()
	document, err := yamlNode(decoder)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(document); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

// yamlNode returns the next value of a JSON text.
func yamlNode(from *json.Decoder) (*yaml.Node, error) {
	token, err := from.Token()
	if err != nil {
		return nil, err
	}
	node := &yaml.Node{Kind: yaml.ScalarNode}
	switch token := token.(type) {
	case json.Delim:
		node.Kind = yaml.SequenceNode
		if token == '{' {
			node.Kind = yaml.MappingNode
		}
		for from.More() { // a name is a value too
			child, err := yamlNode(from)
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, child)
		}
		if len(node.Content) == 0 {
			node.Style = yaml.FlowStyle // [] and {}
		}
		_, err = from.Token() // the end
	case string:
		// The encoder quotes what would read as something else, but for the merge
		// key, and its blocks for lines lose what is blank.
		node.Tag, node.Value = "!!str", token
		if token == "<<" || strings.ContainsFunc(token, unicode.IsControl) {
			node.Style = yaml.DoubleQuotedStyle
		}
	case nil:
		node.Value = "null"
	default:
		node.Value = fmt.Sprint(token)
	}
	return node, err
}
