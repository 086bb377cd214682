"""Slips in data: files that are not there, not readable or broken, columns and labels that are not what they seem."""

import datetime

import pyarrow as pa
from slips import CSV, JSONL, ROWS, TEST_CSV, Slip, invalid_text, jsonl, labelled, parquet, splits

SLIPS = {
    # where the data is
    "no data.path": Slip("data.path=null", ("data=files needs data.path", "train.* and test.*")),
    "missing file": Slip("data.path={here}/no.csv", ("data.path=", "no.csv does not exist", "give a folder")),
    "missing folder": Slip("data.path={here}/nowhere", ("nowhere does not exist", "give a folder")),
    "missing file of a mapping": Slip(
        "'data.path={{train: {here}/train.csv, test: {here}/no.csv}}'", ("no.csv does not exist",), splits()
    ),
    "unknown split in a mapping": Slip(
        "'data.path={{train: {here}/train.csv, tset: {here}/test.csv}}'", ("'tset'", "validation and test"), splits()
    ),
    "mapping without train": Slip("'data.path={{test: {here}/test.csv}}'", ("names test", "add train: FILE"), splits()),
    "train and test the same file": Slip(
        "'data.path={{train: {here}/train.csv, test: {here}/train.csv}}'", ("the same file", "alone"), splits()
    ),
    "a list of files": Slip("'data.path=[{here}/train.csv]'", ("is a list", "give a folder"), splits()),
    "empty folder": Slip("data.path={here}", ("holds no train file", "found: nothing", "add train.*")),
    "folder without train": Slip("data.path={here}", ("holds no train file", "found: test.csv"), {"test.csv": CSV}),
    "folder without test": Slip("data.path={here}", ("no test split", "test=false"), {"train.csv": CSV}),
    "train files of two kinds": Slip(
        "data.path={here}",
        ("several train files", "train.csv, train.jsonl", "leave one"),
        {**splits(), "train.jsonl": JSONL},
    ),
    "a part is missing": Slip(
        "data.path={here}", ("1 of 2 train parts",), {"train-00000-of-00002.csv": CSV, "test.csv": CSV}
    ),
    "parts with other columns": Slip(
        "data.path={here}",
        ("train-1.csv has other columns than train-0.csv",),
        {"train-0.csv": CSV, "train-1.csv": "label,text\nneg,a\n", "test.csv": CSV},
    ),
    # columns
    "misspelt text column": Slip(
        "data.path={here} data.text_column=txt",
        ("data.text_column=txt", "text, label", "Did you mean 'text'?"),
        splits(),
    ),
    "missing label column": Slip(
        "data.path={here} data.label_column=stars", ("data.label_column=stars", "the columns text, label"), splits()
    ),
    "second column of a pair missing": Slip(
        "data.path={here} data.text_column=[text,hypothesis]", ("data.text_column=hypothesis", "text, label"), splits()
    ),
    "three text columns": Slip("data.text_column=[a,b,c]", ("data.text_column", "[premise,hypothesis]")),
    "a column named twice": Slip(
        "data.path={here}", ("'text' twice", "rename one"), splits(train="text,label,text\na,b,c\n")
    ),
    "numbers for texts": Slip(
        "data.path={here}/all.parquet data.text_column=n",
        ("data.text_column=n holds int64, not text",),
        {"all.parquet": parquet(n=[1, 2, 3, 4], label=[0, 0, 1, 1])},
    ),
    # texts and labels
    "empty texts": Slip(
        "data.path={here}", ("train split has 2 empty", "'text'", "row 13"), splits(train=CSV + ',neg\n"",pos\n')
    ),
    "blank text": Slip(
        "data.path={here}", ("test split has 1 empty", "row 13"), splits(test=CSV + '" \t\u00a0",neg\n')
    ),
    "empty label": Slip("data.path={here}", ("1 empty or null", "'label'", "row 13"), splits(train=CSV + "words,\n")),
    "null text": Slip(
        "data.path={here}/all.jsonl",
        ("1 empty or null", "'text'", "row 1"),
        {"all.jsonl": '{"text":null,"label":1}\n' + JSONL},
    ),
    "null label": Slip(
        "data.path={here}/all.jsonl",
        ("1 empty or null", "'label'", "row 13"),
        {"all.jsonl": JSONL + '{"text":"words"}\n'},
    ),
    "test label never in train": Slip(
        "data.path={here}", ("test split has 1", "'mid'", "row 13", "neg, pos"), splits(test=CSV + "a,mid\n")
    ),
    "validation label never in train": Slip(
        "data.path={here}", ("validation split has 1", "'mid'", "leave"), splits(validation=CSV + "a,mid\n")
    ),
    "one label only": Slip(
        "data.path={here}", ("one label only (pos", "two or more"), splits(train="text,label\na,pos\n")
    ),
    "labels with a fraction": Slip(
        "data.path={here}/a.parquet",
        ("data.label_column=label holds float64", "whole numbers"),
        {"a.parquet": parquet(text=["a", "b"], label=[0.5, 1.0])},
    ),
    "lists of labels": Slip(
        "data.path={here}/a.parquet",
        ("holds a list in each row",),
        {"a.parquet": parquet(text=["a", "b"], label=[[1], [2]])},
    ),
    "text and numbers as labels": Slip(
        "data.path={here}/a.jsonl",
        ("data.label_column=label", "all of one kind"),
        {"a.jsonl": JSONL + '{"text":"a","label":"x"}'},
    ),
    "a lone label to be cut for validation": Slip(
        "data.path={here}", ("'mid' has one text left", "validation"), splits(train=CSV + "a,mid\n")
    ),
    "a lone label to be cut for test": Slip(
        "data.path={here}/a.csv", ("'mid' has one text left", "test"), {"a.csv": CSV + "a,mid\n"}
    ),
    # what is in the files
    "zero bytes": Slip("data.path={here}", ("train.csv is empty (0 bytes)",), splits(train="")),
    "zero bytes of test": Slip("data.path={here}", ("test.csv is empty (0 bytes)",), splits(test="")),
    "header only": Slip("data.path={here}", ("train.csv has no rows",), splits(train="text,label\n")),
    "no rows in Parquet": Slip(
        "data.path={here}/a.parquet", ("no rows",), {"a.parquet": parquet(text=pa.array([], pa.string()), label=[])}
    ),
    "unknown format": Slip("data.path={here}/a.xlsx", ("'.xlsx'", "parquet, csv, tsv, json, jsonl"), {"a.xlsx": "PK"}),
    "UTF-16": Slip("data.path={here}", ("train.csv", "UTF-8", "save it"), splits(train=CSV.encode("utf-16"))),
    "UTF-16 without a mark": Slip("data.path={here}", ("UTF-8", "UTF-16"), splits(train=CSV.encode("utf-16-le"))),
    "Latin-1": Slip(
        "data.path={here}", ("test.csv", "UTF-8", "save it"), splits(test=(CSV * 900 + "naïve,neg\n").encode("latin-1"))
    ),
    "Latin-1 in JSON": Slip(
        "data.path={here}/a.jsonl", ("UTF-8", "save it"), {"a.jsonl": JSONL.replace("some", "naïve").encode("latin-1")}
    ),
    "a comma too many": Slip(
        "data.path={here}", ("row 13 has 3 cells", "names 2", "quotes"), splits(train=CSV + "well, yes,pos\n")
    ),
    "a comma too many in every row": Slip(
        "data.path={here}", ("row 1 has 3 cells",), splits(train="text,label\n" + ROWS.replace("text", "a, b"))
    ),
    "a cell too few": Slip("data.path={here}", ("1 empty", "'label'", "row 13"), splits(train=CSV + "words\n")),
    "a quote left open": Slip(
        "data.path={here}", ("train.csv", "line 14", 'as ""'), splits(train=CSV + '"words,pos\n')
    ),
    "a broken line of JSON": Slip(
        "data.path={here}/a.jsonl", ("a.jsonl cannot be read as jsonl",), {"a.jsonl": JSONL + '{"text": "a", "lab\n'}
    ),
    "a truncated Parquet file": Slip(
        "data.path={here}/a.parquet",
        ("a.parquet cannot be read as parquet",),
        {"a.parquet": parquet(text=["a", "b"] * 50, label=[1, 2] * 50)[:-200]},
    ),
    "a folder where a file is expected": Slip(
        "data.path={here}", ("train.csv is a folder", "rename"), {"train.csv/a": "", "test.csv": CSV}
    ),
    "a folder as a mapping's file": Slip(
        "'data.path={{train: {here}/sub, test: {here}/test.csv}}'", ("sub", "unknown format"), {**splits(), "sub/a": ""}
    ),
    "a file that may not be read": Slip(
        "data.path={here}",
        ("train.csv cannot be read (Permission denied)", "let this user read it"),
        splits(),
        locked=("train.csv",),
    ),
    "Parquet that may not be read": Slip(
        "data.path={here}/a.parquet",
        ("a.parquet cannot be read (Permission denied)",),
        labelled(0, 1),
        locked=("a.parquet",),
    ),
    "a folder that may not be read": Slip(
        "data.path={here}/sub", ("sub cannot be read (Permission denied)",), {"sub/train.csv": CSV}, locked=("sub",)
    ),
    "a folder on the way may not be entered": Slip(
        "data.path={here}/sub/in/train.csv",
        ("cannot be looked up (Permission denied)",),
        {"sub/in/train.csv": CSV},
        locked=("sub",),
    ),
    "a name longer than file systems take": Slip(
        "data.path=" + "x" * 300, ("data.path=xxx", "File name too long", "give another")
    ),
    # columns
    "a column in capitals": Slip(
        "data.path={here}",
        ("data.text_column=text", "the columns Text, label", "Did you mean 'Text'?"),
        splits(train=CSV.replace("text,", "Text,", 1)),
    ),
    "a misspelt header": Slip(
        "data.path={here}",
        ("data.label_column=label", "the columns text, lable", "Did you mean 'lable'?"),
        splits(test=TEST_CSV.replace("label", "lable", 1)),
    ),
    "a header with the columns' names in quotes too many": Slip(
        "data.path={here}", ("line 1",), splits(train='"text"x,label\n' + ROWS)
    ),
    "a column doubled but for spaces": Slip(
        "data.path={here}", ("'label' twice", "rename one"), splits(train="text,label, label\na,b,c\n")
    ),
    "a label column that is the text column": Slip(
        "data.path={here} data.label_column=text",
        ("data.label_column=text", "'text' twice", "columns of their own"),
        splits(),
    ),
    "a pair of one column": Slip(
        "data.path={here} data.text_column=[text,text]", ("data.text_column=text,text", "twice"), splits()
    ),
    "no header": Slip("data.path={here}", ("data.text_column=text", "has the columns"), splits(train=ROWS)),
    # more of what is in the files
    "a zero byte": Slip(
        "data.path={here}",
        ("train.csv: line 14 holds a zero byte", "save it as UTF-8"),
        splits(train=CSV + "a\0b,pos\n"),
    ),
    "a zero byte in JSON": Slip("data.path={here}/a.jsonl", ("a.jsonl: line 13 holds a zero byte",), jsonl("\0")),
    "a ragged row in the middle": Slip(
        "data.path={here}", ("row 13 has 4 cells", "names 2"), splits(train=CSV + "a,b,c,pos\n" + ROWS)
    ),
    "a ragged row behind semicolons": Slip(
        "data.path={here}",
        ("row 13 has 3 cells", "with a semicolon in double quotes"),
        splits(train=CSV.replace(",", ";") + "a;b;pos\n"),
    ),
    "a quote left open in the middle": Slip(
        "data.path={here}",
        ("train.csv cannot be read as csv: line", "quote"),
        splits(train=CSV + '"words,pos\n' + ROWS * 20),
    ),
    "a quote inside a quoted text": Slip(
        "data.path={here}", ("train.csv", "line 14", 'as ""'), splits(train=CSV + '"a "good" film",pos\n')
    ),
    "a line of JSON that is a list": Slip(
        "data.path={here}/a.jsonl", ("line 13 is [1, 2], not an object",), jsonl("[1, 2]")
    ),
    "a line of JSON that is a word": Slip(
        "data.path={here}/a.jsonl", ('line 13 is "abc", not an object',), jsonl('"abc"')
    ),
    "a line of JSON without its comma": Slip(
        "data.path={here}/a.jsonl",
        ("a.jsonl cannot be read as jsonl", "line 13", "',' delimiter (column 14)", "repair"),
        jsonl('{"text": "a" "label": 1}'),
    ),
    "a line of JSON left open": Slip(
        "data.path={here}/a.jsonl", ("line 13", "repair"), jsonl('{"text": "a", "label": 1')
    ),
    "a JSON document left open": Slip(
        "data.path={here}/a.json",
        ("a.json cannot be read as json", "line 1"),
        {"a.json": '[{"text": "a", "label": 1}, {"text'},
    ),
    "half of a surrogate pair": Slip(
        "data.path={here}/a.jsonl",
        ("line 13 holds half of a surrogate pair (\\ud800)", "no character"),
        jsonl('{"text": "a \\ud800 b", "label": 1}'),
    ),
    "text in Parquet that is no UTF-8": Slip(
        "data.path={here}/a.parquet",
        ("text in column 'text' that is no UTF-8", "write the file anew"),
        {"a.parquet": parquet(text=invalid_text(), label=[0, 1] * 6)},
    ),
    "a Parquet file that is something else": Slip(
        "data.path={here}/a.parquet",
        ("a.parquet cannot be read as parquet", "magic bytes"),
        {"a.parquet": "hello, world, not Parquet"},
    ),
    "bytes for texts": Slip(
        "data.path={here}/a.parquet",
        ("data.text_column=text holds binary, not text",),
        {"a.parquet": parquet(text=[b"a"] * 12, label=[0, 1] * 6)},
    ),
    "lists for texts": Slip(
        "data.path={here}/a.jsonl",
        ("data.text_column=text holds a list in each row, not text",),
        {"a.jsonl": '{"text": ["a"], "label": 1}\n' * 4},
    ),
    # more of labels
    "whole numbers with a fraction of nothing": Slip(
        "data.path={here}/a.parquet", ("holds float64", "names (text) or whole numbers", "convert"), labelled(1.0, 2.0)
    ),
    "dates as labels": Slip(
        "data.path={here}/a.parquet",
        ("data.label_column=label holds date32", "convert"),
        labelled(datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)),
    ),
    "times as labels": Slip(
        "data.path={here}/a.parquet",
        ("holds timestamp",),
        labelled(datetime.datetime(2026, 1, 1), datetime.datetime(2026, 1, 2)),
    ),
    "decimal numbers as labels": Slip(
        "data.path={here}/a.parquet",
        ("holds decimal128",),
        {"a.parquet": parquet(text=["a b"] * 12, label=pa.array([1, 2] * 6).cast(pa.decimal128(21, 1)))},
    ),
    "objects as labels": Slip(
        "data.path={here}/a.parquet", ("data.label_column=label holds", "convert"), labelled({"a": 1}, {"a": 2})
    ),
    "booleans and names as labels": Slip(
        "data.path={here}/a.jsonl",
        ("holds values of several kinds", "all of one kind"),
        jsonl('{"text": "a", "label": true}'),
    ),
    "nulls for labels": Slip(
        "data.path={here}/a.parquet", ("12 empty or null cells in column 'label'", "row 1"), labelled(None)
    ),
    "labels that differ in case": Slip(
        "data.path={here}", ("holds 'Pos' and 'pos'", "case alone", "one way"), splits(train=CSV + "words,Pos\n")
    ),
    "a label in capitals in test alone": Slip(
        "data.path={here}", ("test split has 1", "'POS'", "Is 'pos' meant?"), splits(test=TEST_CSV + "words,POS\n")
    ),
    "ten thousand labels": Slip(
        "data.path={here}/a.csv",
        ("data.label_column=label holds 10,000 different values in 10,000 texts", "ids", "name the column of labels"),
        {"a.csv": "text,label\n" + "".join(f"text {i},{i}\n" for i in range(10_000))},
    ),
    "measurements as labels": Slip(
        "data.path={here}/a.csv",
        ("holds 60 different values in 60 texts", "measurements"),
        {"a.csv": "text,label\n" + "".join(f"text {i},{i / 7}\n" for i in range(60))},
    ),
    "one label in Parquet": Slip("data.path={here}/a.parquet", ("one label only (1", "two or more"), labelled(1)),
    "an empty text": Slip(
        "data.path={here}",
        ("train split has 1 empty or null cells in column 'text'", "row 13"),
        splits(train=CSV + '"",pos\n'),
    ),
}
