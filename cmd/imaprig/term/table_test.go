package term

import "testing"

func TestTable(t *testing.T) {
	table := NewTable("load", "a second", "")
	if !table.Empty() {
		t.Error("it has rows")
	}
	table.Add("FETCH|64 MiB", 1200, "met")
	table.AddRow([]string{"NOOP", "7", ""})
	if table.Empty() {
		t.Error("it has no rows")
	}
	const text = "load          a second  \nFETCH|64 MiB  1200      met\nNOOP          7         \n"
	if got := table.String(); got != text {
		t.Errorf("got\n%q\nwant\n%q", got, text)
	}
	const page = "| load | a second |  |\n|---|---|---|\n| FETCH/64 MiB | 1200 | met |\n| NOOP | 7 |  |\n"
	if got := table.Markdown(); got != page {
		t.Errorf("got\n%s\nwant\n%s", got, page)
	}
}
