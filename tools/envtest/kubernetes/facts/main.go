// Facts prints, as JSON, what the Go types of Kubernetes say and its OpenAPI documents do not: which fields an encoder
// always writes or leaves out when empty, their Go types, what decoding fills in, and the columns of tables.
// tools/schemas.py packs it.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	apiregistrationinstall "k8s.io/kube-aggregator/pkg/apis/apiregistration/install"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/controlplane"
	"k8s.io/kubernetes/pkg/printers"
	printersinternal "k8s.io/kubernetes/pkg/printers/internalversion"

	apiextensionsinstall "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
)

type modelled interface{ OpenAPIModelName() string }

type field struct {
	name  string
	index []int
	typ   reflect.Type
	omit  bool // left out when empty
	zero  bool // left out when it is the zero value
}

// Facts of one struct.
type Struct struct {
	Always   map[string]json.RawMessage `json:"always,omitempty"`
	Omits    []string                   `json:"omits,omitempty"`
	Types    map[string]string          `json:"types,omitempty"`
	Defaults map[string]json.RawMessage `json:"defaults,omitempty"`
	Numbers  map[string]string          `json:"numbers,omitempty"` // of protobuf fields: their names in JSON, "" if inline
}

var scalars = map[reflect.Type]bool{
	reflect.TypeOf(metav1.Time{}): true, reflect.TypeOf(metav1.MicroTime{}): true,
	reflect.TypeOf(resource.Quantity{}): true, reflect.TypeOf(intstr.IntOrString{}): true,
	reflect.TypeOf(runtime.RawExtension{}): true, reflect.TypeOf(metav1.FieldsV1{}): true,
	reflect.TypeOf(metav1.Duration{}): true, reflect.TypeOf(apiextensions.JSON{}): true,
	reflect.TypeOf(apiextensions.JSONSchemaPropsOrBool{}): true, reflect.TypeOf(apiextensions.JSONSchemaPropsOrArray{}): true,
	reflect.TypeOf(apiextensions.JSONSchemaPropsOrStringArray{}): true,
}

var found = map[string]*Struct{}

// What decoding fills in somewhere, by struct and field, and whether it does so wherever the struct is met.
var partial = map[string]bool{}
var visits = map[string]int{}
var filled = map[string]int{}
var scheme = legacyscheme.Scheme

func fields(t reflect.Type, prefix []int) []field {
	var all []field
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		tag := strings.Split(f.Tag.Get("json"), ",")
		options := map[string]bool{}
		for _, option := range tag[1:] {
			options[option] = true
		}
		index := append(append([]int{}, prefix...), i)
		if options["inline"] || (f.Anonymous && tag[0] == "") {
			inner := f.Type
			if inner.Kind() == reflect.Struct {
				all = append(all, fields(inner, index)...)
			}
			continue
		}
		if tag[0] == "" || tag[0] == "-" {
			continue
		}
		all = append(all, field{tag[0], index, f.Type, options["omitempty"], options["omitzero"]})
	}
	return all
}

func modelName(t reflect.Type) string {
	if m, ok := reflect.New(t).Interface().(modelled); ok {
		return m.OpenAPIModelName()
	}
	return t.PkgPath() + "." + t.Name()
}

func describe(t reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || scalars[t] {
		return
	}
	name := modelName(t)
	if found[name] != nil {
		return
	}
	facts := &Struct{Numbers: map[string]string{}, Always: map[string]json.RawMessage{}, Types: map[string]string{}, Defaults: map[string]json.RawMessage{}}
	found[name] = facts
	number(t, facts)
	for _, f := range fields(t, nil) {
		facts.Types[f.name] = f.typ.String()
		byValue := f.typ.Kind() != reflect.Pointer && f.typ.Kind() != reflect.Slice && f.typ.Kind() != reflect.Map
		isStruct := f.typ.Kind() == reflect.Struct
		switch {
		case f.zero || (f.omit && byValue && !isStruct):
			if byValue {
				facts.Omits = append(facts.Omits, f.name)
			}
		case !f.omit || isStruct:
			raw, err := json.Marshal(reflect.Zero(f.typ).Interface())
			if err != nil {
				panic(err)
			}
			facts.Always[f.name] = raw
		}
		describe(f.typ)
	}
}

// number notes the protobuf fields of a struct, and describes the structs that lie inline in it.
func number(t reflect.Type, facts *Struct) {
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		parts := strings.Split(f.Tag.Get("protobuf"), ",")
		if len(parts) < 2 {
			continue
		}
		name := strings.Split(f.Tag.Get("json"), ",")
		if len(name) > 1 && name[1] == "inline" || name[0] == "" {
			facts.Numbers[parts[1]] = ""
			describe(f.Type)
		} else {
			facts.Numbers[parts[1]] = name[0]
		}
	}
}

// A step of a path to a struct inside an object.
type step struct{ index []int }

func reach(root reflect.Value, path []step) reflect.Value {
	v := root
	for _, s := range path {
		v = descend(v.FieldByIndex(s.index))
	}
	return v
}

// descend goes into a field down to a struct, making what is on the way.
func descend(v reflect.Value) reflect.Value {
	for {
		switch v.Kind() {
		case reflect.Pointer:
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		case reflect.Slice:
			if v.Len() == 0 {
				v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			}
			v = v.Index(0)
		default:
			return v
		}
	}
}

func values(v reflect.Value) map[string]string {
	out := map[string]string{}
	for _, f := range fields(v.Type(), nil) {
		raw, _ := json.Marshal(v.FieldByIndex(f.index).Interface())
		out[f.name] = string(raw)
	}
	return out
}

func defaulted(obj runtime.Object) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			ok = false
		}
	}()
	scheme.Default(obj)
	return true
}

func junk(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Int32, reflect.Int64, reflect.Int:
		v.SetInt(7)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		if v.Elem().Kind() != reflect.Struct {
			junk(v.Elem())
		}
	}
}

func probe(gvk schema.GroupVersionKind, root reflect.Type, t reflect.Type, path []step, where string, seen map[reflect.Type]bool) {
	if seen[t] || scalars[t] {
		return
	}
	seen[t] = true
	defer func() { delete(seen, t) }()
	obj := reflect.New(root)
	before := values(reach(obj.Elem(), path))
	if !defaulted(obj.Interface().(runtime.Object)) {
		return
	}
	after := values(reach(obj.Elem(), path))
	facts := found[modelName(t)]
	visits[modelName(t)]++
	for _, f := range fields(t, nil) {
		if f.name == "metadata" && len(path) == 0 {
			continue
		}
		value := after[f.name]
		byValue := f.typ.Kind() == reflect.Struct && !scalars[f.typ]
		empty := value == "null" || f.omit && (value == "{}" || value == "[]") && f.typ.Kind() != reflect.Pointer
		if value != before[f.name] && !byValue && !empty {
			filled[modelName(t)+" "+f.name]++
			full := reflect.New(root)
			node := reach(full.Elem(), path)
			for _, other := range fields(t, nil) {
				if other.name != f.name && other.name != "metadata" {
					junk(node.FieldByIndex(other.index))
				}
			}
			again := defaulted(full.Interface().(runtime.Object)) && values(reach(full.Elem(), path))[f.name] == value
			known, there := facts.Defaults[f.name]
			switch {
			case !again:
				partial[modelName(t)+" "+f.name] = true
				fmt.Fprintf(os.Stderr, "conditional %s %s%s.%s = %s\n", gvk, modelName(t), where, f.name, value)
			case there && string(known) != value:
				partial[modelName(t)+" "+f.name] = true
				fmt.Fprintf(os.Stderr, "differs %s %s%s.%s = %s, elsewhere %s\n", gvk, modelName(t), where, f.name, value, known)
			default:
				facts.Defaults[f.name] = json.RawMessage(value)
			}
		}
		inner := f.typ
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && f.name != "metadata" {
			next := append(append([]step{}, path...), step{f.index})
			probe(gvk, root, inner, next, where+"."+f.name, seen)
		}
	}
}

type recorder struct {
	columns map[string][]metav1.TableColumnDefinition
}

func (r recorder) TableHandler(columns []metav1.TableColumnDefinition, print interface{}) error {
	t := reflect.TypeOf(print).In(0).Elem()
	gvks, _, err := scheme.ObjectKinds(reflect.New(t).Interface().(runtime.Object))
	if err != nil {
		return err
	}
	if !strings.HasSuffix(gvks[0].Kind, "List") {
		r.columns[gvks[0].GroupKind().String()] = columns
	}
	return nil
}

func main() {
	apiextensionsinstall.Install(scheme)
	apiregistrationinstall.Install(scheme)
	var kinds []schema.GroupVersionKind
	for gvk := range scheme.AllKnownTypes() {
		beta := strings.Contains(gvk.Version, "alpha") || strings.Contains(gvk.Version, "beta")
		if gvk.Version != runtime.APIVersionInternal && !beta && gvk.Group != "" || gvk.Group == "" && gvk.Version == "v1" {
			kinds = append(kinds, gvk)
		}
	}
	sort.Slice(kinds, func(i, j int) bool { return kinds[i].String() < kinds[j].String() })
	for _, gvk := range kinds {
		describe(scheme.AllKnownTypes()[gvk])
	}
	for _, gvk := range kinds {
		t := scheme.AllKnownTypes()[gvk]
		if strings.HasPrefix(t.PkgPath(), "k8s.io/apimachinery") || strings.HasSuffix(gvk.Kind, "List") {
			continue
		}
		probe(gvk, t, t, nil, "", map[reflect.Type]bool{})
	}
	for name, facts := range found {
		for field := range facts.Defaults {
			if key := name + " " + field; filled[key] != visits[name] || partial[key] {
				fmt.Fprintf(os.Stderr, "partial %s = %s\n", key, facts.Defaults[field])
				delete(facts.Defaults, field)
			}
		}
	}
	r := recorder{map[string][]metav1.TableColumnDefinition{}}
	printersinternal.AddHandlers(r)
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(map[string]any{"structs": found, "columns": r.columns}); err != nil {
		panic(err)
	}
}

var _ printers.PrintHandler = recorder{}
