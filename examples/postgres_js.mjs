// Late interaction from JavaScript with postgres.js: write text, search in text, send vectors.
//
//   npm install postgres
//   colbert-pg worker &
//   DATABASE_URL=postgresql://… node postgres_js.mjs
//
// The database has pgvector and colbert_pg (colbert-pg install). The table is dropped at the end.
// postgres.js sends all parameters as text. node_postgres.mjs shows how vectors travel in binary.
import postgres from "postgres";

const literal = (vectors) => "{" + vectors.map((vector) => `"[${vector.join(",")}]"`).join(",") + "}";
const numbers = (text) => JSON.parse("[" + text.slice(1, -1).replaceAll('"', "") + "]");

// PGHOST and friends where DATABASE_URL is not set
const quiet = { onnotice: () => {} };
const sql = process.env.DATABASE_URL ? postgres(process.env.DATABASE_URL, quiet) : postgres(quiet);
await sql.unsafe(`CREATE TABLE js_notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                                         content text, embeddings vector(${process.env.DIMENSIONS ?? 128})[])`);
try {
  await sql`SELECT colbert.create_index('js_notes', options => ${sql.json({ text: "content" })})`;
  for (const content of ["cats sleep most of the day", "the baker sells bread and rolls"]) {
    await sql`INSERT INTO js_notes ${sql({ content })}`;
  }
  while ((await sql`SELECT FROM js_notes WHERE embeddings IS NULL`).length) {
    await new Promise((resolve) => setTimeout(resolve, 50)); // a worker encodes them
  }

  const question = "bread";
  const [{ vectors }] = await sql`CALL colbert.encode_query(${question}, 'js_notes', '1 minute')`;
  const [best] = await sql`
    SELECT n.content, s.score FROM colbert.search_text('js_notes', ${question}, k => 1) s
      JOIN js_notes n ON n.id = s.doc_id`;
  console.log("text:", best.content);

  const own = typeof vectors === "string" ? numbers(vectors) : vectors.map((vector) => JSON.parse(vector));
  const [found] = await sql`SELECT doc_id FROM colbert.search('js_notes', ${literal(own)}::text::vector[], k => 1)`;
  console.log("vectors:", found.doc_id);
} finally {
  await sql`DROP TABLE js_notes CASCADE`;
  await sql.end();
}
