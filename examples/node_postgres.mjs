// Late interaction from JavaScript with node-postgres: write text, search in text, send vectors in binary.
//
//   npm install pg
//   colbert-pg worker &
//   DATABASE_URL=postgresql://… node node_postgres.mjs
//
// The database has pgvector and colbert_pg (colbert-pg install). The table is dropped at the end.
import pg from "pg";

// vector[] in PostgreSQL's binary format, from arrays of numbers.
function binary(vectors, oid) {
  const length = vectors[0].length;
  const buffer = Buffer.alloc(20 + vectors.length * (8 + 4 * length));
  [1, 0, oid, vectors.length, 1].forEach((value, place) => buffer.writeUInt32BE(value, 4 * place));
  vectors.forEach((vector, token) => {
    const start = 20 + token * (8 + 4 * length);
    buffer.writeUInt32BE(4 + 4 * length, start);
    buffer.writeUInt16BE(length, start + 4);
    vector.forEach((number, place) => buffer.writeFloatBE(number, start + 8 + 4 * place));
  });
  return buffer;
}

// vector[] as PostgreSQL prints it, {"[1,0]","[0,1]"}, to arrays of numbers.
const numbers = (text) => JSON.parse("[" + text.slice(1, -1).replaceAll('"', "") + "]");

const client = new pg.Client(process.env.DATABASE_URL);
await client.connect();
await client.query(`CREATE TABLE js_notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                                           content text, embeddings vector(${process.env.DIMENSIONS ?? 128})[])`);
try {
  await client.query(`SELECT colbert.create_index('js_notes', options => '{"text": "content"}')`);
  for (const text of ["cats sleep most of the day", "the baker sells bread and rolls"]) {
    await client.query("INSERT INTO js_notes (content) VALUES ($1)", [text]);
  }
  let pending = 1; // a worker encodes them
  while (pending) {
    const { rows } = await client.query("SELECT count(*)::int AS n FROM js_notes WHERE embeddings IS NULL");
    pending = rows[0].n;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }

  const question = "bread";
  const called = await client.query("CALL colbert.encode_query($1, 'js_notes', '1 minute')", [question]);
  const search = `SELECT n.content, s.score FROM colbert.search_text('js_notes', $1, k => 1) s
                    JOIN js_notes n ON n.id = s.doc_id`;
  console.log("text:", (await client.query(search, [question])).rows[0].content);

  const vectors = numbers(called.rows[0].vectors); // node-postgres sends a Buffer in binary
  const { oid } = (await client.query("SELECT 'vector'::regtype::oid AS oid")).rows[0];
  const found = await client.query("SELECT doc_id FROM colbert.search('js_notes', $1, k => 1)", [binary(vectors, oid)]);
  console.log("binary:", found.rows[0].doc_id);
} finally {
  await client.query("DROP TABLE js_notes CASCADE");
  await client.end();
}
