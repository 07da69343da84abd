// SPDX-License-Identifier: Apache-2.0

package query

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// decode fills in, a pointer to a struct, from p, and refuses parameters that
// no field takes: a caller must not believe that Encrypted=true was heard.
//
// A field's tag names its parameter: `query:"Size"`, or `query:"Size,required"`.
// A field is a string, an integer, a bool, a pointer to one of them (nil when
// the parameter is absent), a slice of strings (VolumeId.1, VolumeId.2) or a
// slice of structs (Filter.1.Name). Elements of a slice come in the order of
// their numbers, which may have gaps. Embedded structs count as if their fields
// were in's own.
func decode(p parameters, in any) error {
	d := decoder{p: p, left: maps.Clone(p)}
	if err := d.fields("", reflect.ValueOf(in).Elem()); err != nil {
		return err
	}
	if len(d.left) > 0 {
		first := slices.Min(slices.Collect(maps.Keys(d.left)))
		return Faultf("UnknownParameter", "The parameter %s is not recognized", first)
	}
	return nil
}

type decoder struct {
	p    parameters
	left parameters // what no field has taken yet
}

func (d decoder) fields(prefix string, v reflect.Value) error {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Anonymous {
			if err := d.fields(prefix, v.Field(i)); err != nil {
				return err
			}
			continue
		}
		name, option, _ := strings.Cut(field.Tag.Get("query"), ",")
		name = prefix + name
		if option == "required" && d.p[name] == "" {
			return missing(name)
		}
		if err := d.value(name, v.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

// value decodes the parameter of that name, or those whose names begin with it, into v.
func (d decoder) value(name string, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Slice:
		return d.elements(name, v)
	case reflect.Struct:
		return d.fields(name+".", v)
	}
	s, ok := d.p[name]
	if !ok {
		return nil
	}
	delete(d.left, name)
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Int:
		n, err := strconv.Atoi(s)
		if err != nil {
			return BadValue(name, s, "Expected an integer.")
		}
		v.SetInt(int64(n))
	case reflect.Bool:
		b, ok := map[string]bool{"true": true, "false": false}[strings.ToLower(s)]
		if !ok {
			return BadValue(name, s, "Expected true or false.")
		}
		v.SetBool(b)
	default:
		panic("query: no parameter decodes into " + v.Type().String())
	}
	return nil
}

// elements decodes NAME.1, NAME.2 and so on. The numbers only sort the elements:
// memory is used for the elements that are there, not up to the largest number.
func (d decoder) elements(name string, v reflect.Value) error {
	numbers := map[int]bool{}
	for parameter := range d.p {
		rest, ok := strings.CutPrefix(parameter, name+".")
		if !ok {
			continue
		}
		digits, _, _ := strings.Cut(rest, ".")
		// A spelling like "+1" or "01" stays unknown.
		if n, err := strconv.Atoi(digits); err == nil && n >= 0 && strconv.Itoa(n) == digits {
			numbers[n] = true
		}
	}
	for _, n := range slices.Sorted(maps.Keys(numbers)) {
		element := reflect.New(v.Type().Elem()).Elem()
		if err := d.value(name+"."+strconv.Itoa(n), element); err != nil {
			return err
		}
		v.Set(reflect.Append(v, element))
	}
	return nil
}

// BadValue returns the fault for a value that breaks a rule, in EC2's words;
// expected is the rule, a sentence. Their messages spell parameters in lower
// camel case.
func BadValue(parameter, value, expected string) *Fault {
	first := []rune(parameter)
	first[0] = unicode.ToLower(first[0])
	return Faultf("InvalidParameterValue", "Value (%s) for parameter %s is invalid. %s", value, string(first), expected)
}
