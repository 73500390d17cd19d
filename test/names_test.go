package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strings"
	"testing"
)

// Every name of the specification has its line.
func TestEveryNameOfTheSpecificationHasItsLine(t *testing.T) {
	text := read(t, "docs/from-the-specification.md")
	for name := range strings.FieldsSeq(read(t, "test/testdata/specification-names.txt")) {
		if !regexp.MustCompile("`[^`]*" + regexp.QuoteMeta(name) + "[^`]*`").MatchString(text) {
			t.Errorf("%s is not in docs/from-the-specification.md", name)
		}
	}
}

// A name of a Go package that a document puts in code exists, under that name.
func TestNamesInDocumentsExist(t *testing.T) {
	exported := exportedNames(t)
	mentioned := regexp.MustCompile(`\b(session|sessionhttp|dbscope|memstore|sqlitestore|pgstore|pgbus|redisbus|membus|storetest|bustest)\.([A-Z]\w*)(?:\.([A-Z]\w*))?`)
	for _, file := range files(t) {
		if path.Ext(file) != ".md" {
			continue
		}
		for _, span := range codeSpan.FindAllString(fence.ReplaceAllString(read(t, file), ""), -1) {
			for _, m := range mentioned.FindAllStringSubmatch(span, -1) {
				if testFunction.MatchString(m[2]) {
					continue // TestPromises looks for those
				}
				name := m[1] + "." + m[2]
				if m[3] != "" {
					name += "." + m[3]
				}
				if !exported[name] {
					t.Errorf("%s: there is no %s", file, name)
				}
			}
		}
	}
}

// exportedNames are "package.Name", "package.Type.Method" and "package.Type.Field".
func exportedNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, file := range files(t) {
		if path.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "cmd/") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, read(t, file), parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		pkg := parsed.Name.Name + "."
		for _, decl := range parsed.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv == nil {
					names[pkg+decl.Name.Name] = true
				} else {
					names[pkg+receiver(decl.Recv.List[0].Type)+"."+decl.Name.Name] = true
				}
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					declare(names, pkg, spec)
				}
			}
		}
	}
	return names
}

func declare(names map[string]bool, pkg string, spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			names[pkg+name.Name] = true
		}
	case *ast.TypeSpec:
		names[pkg+spec.Name.Name] = true
		var members *ast.FieldList
		switch of := spec.Type.(type) {
		case *ast.StructType:
			members = of.Fields
		case *ast.InterfaceType:
			members = of.Methods
		default:
			return
		}
		for _, member := range members.List {
			for _, name := range member.Names {
				names[pkg+spec.Name.Name+"."+name.Name] = true
			}
		}
	}
}

func receiver(of ast.Expr) string {
	switch of := of.(type) {
	case *ast.StarExpr:
		return receiver(of.X)
	case *ast.IndexExpr:
		return receiver(of.X)
	case *ast.Ident:
		return of.Name
	}
	return ""
}
