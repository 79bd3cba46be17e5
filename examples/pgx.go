// Late interaction from Go with pgx: write text, search in text, send vectors in binary.
//
//	go mod init example && go get github.com/jackc/pgx/v5
//	colbert-pg worker &
//	DATABASE_URL=postgresql://… go run pgx.go
//
// The database has pgvector and colbert_pg (colbert-pg install). The table is dropped at the end.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// vector[] in PostgreSQL's binary format.
func array(vectors [][]float32, oid uint32) []byte {
	var buffer bytes.Buffer
	write := func(values ...any) {
		for _, value := range values {
			binary.Write(&buffer, binary.BigEndian, value)
		}
	}
	write(int32(1), int32(0), oid, int32(len(vectors)), int32(1))
	for _, vector := range vectors {
		write(int32(4+4*len(vector)), int16(len(vector)), int16(0), vector)
	}
	return buffer.Bytes()
}

// vector[] as PostgreSQL prints it, {"[1,0]","[0,1]"}, to numbers.
func numbers(text string) (vectors [][]float32) {
	check(json.Unmarshal([]byte("["+strings.ReplaceAll(text[1:len(text)-1], `"`, "")+"]"), &vectors))
	return
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	ctx := context.Background()
	db, err := pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
	check(err)
	defer db.Close(ctx)
	run := func(sql string, arguments ...any) { _, err := db.Exec(ctx, sql, arguments...); check(err) }
	one := func(into any, sql string, arguments ...any) { check(db.QueryRow(ctx, sql, arguments...).Scan(into)) }

	dimensions := "128"
	if given := os.Getenv("DIMENSIONS"); given != "" {
		dimensions = given
	}
	run(`CREATE TABLE go_notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	                            content text, embeddings vector(` + dimensions + `)[])`)
	defer db.Exec(ctx, "DROP TABLE go_notes CASCADE")
	run(`SELECT colbert.create_index('go_notes', options => '{"text": "content"}')`)
	for _, text := range []string{"cats sleep most of the day", "the baker sells bread and rolls"} {
		run("INSERT INTO go_notes (content) VALUES ($1)", text)
	}
	for pending := 1; pending > 0; time.Sleep(50 * time.Millisecond) { // a worker encodes them
		one(&pending, "SELECT count(*) FROM go_notes WHERE embeddings IS NULL")
	}

	question, content, printed := "bread", "", ""
	run("CALL colbert.encode_query($1, 'go_notes', '1 minute')", question)
	one(&content, `SELECT n.content FROM colbert.search_text('go_notes', $1, k => 1) s
	                 JOIN go_notes n ON n.id = s.doc_id`, question)
	fmt.Println("text:", content)

	one(&printed, "SELECT colbert.encoded_query($1, 'go_notes')::text", question)
	var element, oid uint32
	one(&element, "SELECT 'vector'::regtype::oid")
	one(&oid, "SELECT 'vector[]'::regtype::oid")
	found := db.PgConn().ExecParams(ctx, "SELECT doc_id FROM colbert.search('go_notes', $1, k => 1)",
		[][]byte{array(numbers(printed), element)}, []uint32{oid}, []int16{1}, nil).Read()
	check(found.Err)
	fmt.Println("binary:", string(found.Rows[0][0]))
}
