package canon_test

import (
	"bytes"
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/internal/canon"
)

var limits = canon.Limits{Depth: 8, Count: 1000}

func TestCanonicalForm(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"sorted, without space", " { \"b\" : [ 1 , true ] ,\t\"a\":null,\r\n\"\":{} } ", `{"":{},"a":null,"b":[1,true]}`},
		{"by code point, not by UTF-16", `{"\uffee":1,"\ud83d\ude00":2}`, "{\"\uffee\":1,\"\U0001F600\":2}"},
		{"only quote and backslash escaped", `"\"\\\/\u0041\b\f\n\r\té\u0007"`, "\"\\\"\\\\/A\b\f\n\r\t\u00e9\u0007\""},
		{"a pair of surrogates", `"\ud83d\ude00"`, "\"\U0001F600\""},
		{"integers", `[0,-0,7,-7,9223372036854775807,-9223372036854775808]`, ""},
		{"empty array and object", `[[],{}]`, `[[],{}]`},
		{"words", `[true,false,null]`, `[true,false,null]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := canon.Parse([]byte(c.text), limits)
			if c.want == "" {
				require.ErrorContains(t, err, "byte 3: expected an integer")
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, string(canon.Append(nil, v)))
			text := canon.AppendText(nil, v)
			require.True(t, json.Valid(text))
			again, err := canon.Parse(text, limits)
			require.NoError(t, err)
			require.Equal(t, v, again)
		})
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", ``, "byte 0: expected a value"},
		{"space only", ` `, "byte 1: expected a value"},
		{"two values", `1 2`, "byte 2: expected nothing after the value"},
		{"a name twice", `{"a":1,"a":2}`, "byte 0: a member stands twice"},
		{"a name twice, once escaped", `{"a":1,"\u0061":2}`, "byte 0: a member stands twice"},
		{"a fraction", `[1.0]`, "byte 1: expected an integer without"},
		{"an exponent", `1e308`, "byte 0: expected an integer without"},
		{"a leading zero", `01`, "byte 0: expected an integer as"},
		{"minus nothing", `-`, "byte 0: expected an integer as"},
		{"minus zero", `-0`, "byte 0: expected an integer as"},
		{"65 bits", `9223372036854775808`, "byte 0: expected an integer of at most 64 bits"},
		{"plus", `+1`, "byte 0: expected a value"},
		{"not a number", `NaN`, "byte 0: expected a value"},
		{"half a word", `[nul]`, "byte 1: expected a value"},
		{"a comma too many", `[1,]`, "byte 3: expected a value"},
		{"a comma too many in an object", `{"a":1,}`, "byte 7: expected the name"},
		{"no comma", `[1 2]`, `byte 3: expected ',' or ']'`},
		{"no colon", `{"a" 1}`, `byte 5: expected ':'`},
		{"a name without quotes", `{a:1}`, "byte 1: expected the name"},
		{"an open array", `[1`, "byte 2: expected"},
		{"an open object", `{"a":1`, "byte 6: expected"},
		{"an open string", `"abc`, "byte 0: a string without an end"},
		{"an open string in an escape", `"abc\`, "unknown escape"},
		{"an open string in hex", `"\u12`, "byte 1: expected four hex digits"},
		{"no hex", `"\u12x4"`, "byte 1: expected four hex digits"},
		{"an unknown escape", `"\x"`, "byte 1: an unknown escape"},
		{"a raw newline", "\"a\nb\"", "byte 2: a control character"},
		{"a raw NUL", "\"a\x00b\"", "byte 2: a control character"},
		{"NUL behind", "1\x00", "byte 1: expected nothing"},
		{"no UTF-8", "\"\xff\"", "byte 0: a string that is no valid UTF-8"},
		{"an encoded surrogate", "\"\xed\xa0\x80\"", "byte 0: a string that is no valid UTF-8"},
		{"half a pair", `"\ud83d"`, "byte 1: half a surrogate pair"},
		{"the wrong half", `"\ude00\ud83d"`, "byte 1: half a surrogate pair"},
		{"half a pair and a letter", `"\ud83d\u0041"`, "byte 1: half a surrogate pair"},
		{"a byte order mark", "\ufeff1", "byte 0: expected a value"},
		{"too deep", strings.Repeat("[", 9) + strings.Repeat("]", 9), "byte 8: more than 8 levels"},
		{"deeper than any stack", strings.Repeat(`{"a":`, 1e6), "more than 8 levels"},
		{"too many", "[" + strings.Repeat("1,", 1000) + "1]", "more than 1000 values"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := canon.Parse([]byte(c.text), limits)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestObject(t *testing.T) {
	o := canon.NewObject(map[string]canon.Value{"b": int64(1), "a": "x"})
	require.Equal(t, []string{"a", "b"}, o.Names())
	v, ok := o.Get("b")
	require.True(t, ok)
	require.Equal(t, int64(1), v)
	_, ok = o.Get("c")
	require.False(t, ok)
	require.Equal(t, `{"a":"x","b":1}`, string(canon.Append(nil, o)))
}

// TestSmallObjectsCostLittle: a file is parsed before anybody knows who signed
// it. What it takes in memory is bounded by its size.
func TestSmallObjectsCostLittle(t *testing.T) {
	for _, element := range []string{`{"":0},`, `{"a":{}},`, `{},`, `[],`, `0,`, `"",`} {
		data := []byte("[" + strings.Repeat(element, 256<<10/len(element)) + "0]")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := canon.Parse(data, canon.Limits{Depth: 16, Count: 1 << 20})
		runtime.ReadMemStats(&after)
		require.NoError(t, err)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(48*len(data)), element)
	}
}

// FuzzParse: what is taken, the standard library reads as the same; and the
// canonical form, made into JSON again, is taken and canonical.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,-7,true,false,null,"x\ud83d\ude00\n"]}`, `"\u0041"`, `[[[[]]]]`, `{"a":1,"a":2}`, ` 0 `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := canon.Parse(data, limits)
		if err != nil {
			return
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		var std any
		require.NoError(t, d.Decode(&std))
		again, err := json.Marshal(std)
		require.NoError(t, err)
		w, err := canon.Parse(again, limits)
		require.NoError(t, err)
		require.Equal(t, canon.Append(nil, v), canon.Append(nil, w))
	})
}
