// Late interaction from Java with JDBC: write text, search in text, send vectors in binary.
//
//   colbert-pg worker &
//   DATABASE_URL='jdbc:postgresql://host/database?user=…' java -cp postgresql.jar Jdbc.java
//
// The database has pgvector and colbert_pg (colbert-pg install). The table is dropped at the end.
import java.nio.ByteBuffer;
import java.sql.*;
import java.util.*;
import org.postgresql.jdbc.PgConnection;
import org.postgresql.util.*;

public class Jdbc {
    /** vector[] in PostgreSQL's binary format. */
    static class Vectors extends PGobject implements PGBinaryObject {
        private final byte[] bytes;

        Vectors(List<float[]> vectors, int oid) {
            setType("_vector");  // how PostgreSQL calls the type vector[]
            ByteBuffer buffer = ByteBuffer.allocate(20 + vectors.size() * (8 + 4 * vectors.get(0).length));
            for (int number : new int[] {1, 0, oid, vectors.size(), 1}) buffer.putInt(number);
            for (float[] vector : vectors) {
                buffer.putInt(4 + 4 * vector.length).putShort((short) vector.length).putShort((short) 0);
                for (float number : vector) buffer.putFloat(number);
            }
            bytes = buffer.array();
        }

        public int lengthInBytes() { return bytes.length; }
        public void toBytes(byte[] target, int offset) { System.arraycopy(bytes, 0, target, offset, bytes.length); }
        public void setByteValue(byte[] value, int offset) { throw new UnsupportedOperationException(); }
        @Override public String getValue() { return null; }
    }

    /** vector[] as PostgreSQL prints it, {"[1,0]","[0,1]"}, to numbers. */
    static List<float[]> numbers(String text) {
        List<float[]> vectors = new ArrayList<>();
        for (String part : text.substring(3, text.length() - 3).split("]\",\"\\[")) {
            String[] parts = part.split(",");
            float[] vector = new float[parts.length];
            for (int place = 0; place < parts.length; place++) vector[place] = Float.parseFloat(parts[place]);
            vectors.add(vector);
        }
        return vectors;
    }

    static String one(Connection db, String sql, Object... arguments) throws SQLException {
        try (PreparedStatement statement = db.prepareStatement(sql)) {
            for (int place = 0; place < arguments.length; place++) statement.setObject(place + 1, arguments[place]);
            boolean rows = statement.execute();
            if (!rows) return null;
            ResultSet result = statement.getResultSet();
            return result.next() ? result.getString(1) : null;
        }
    }

    public static void main(String[] arguments) throws Exception {
        String dimensions = System.getenv().getOrDefault("DIMENSIONS", "128");
        try (Connection db = DriverManager.getConnection(System.getenv("DATABASE_URL"))) {
            one(db, "CREATE TABLE java_notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
                + " content text, embeddings vector(" + dimensions + ")[])");
            try {
                one(db, "SELECT colbert.create_index('java_notes', options => '{\"text\": \"content\"}')");
                for (String text : List.of("cats sleep most of the day", "the baker sells bread and rolls"))
                    one(db, "INSERT INTO java_notes (content) VALUES (?)", text);
                while (!one(db, "SELECT count(*) FROM java_notes WHERE embeddings IS NULL").equals("0"))
                    Thread.sleep(50);  // a worker encodes them

                String question = "bread";
                one(db, "CALL colbert.encode_query(?, 'java_notes', '1 minute')", question);
                System.out.println("text: " + one(db, "SELECT n.content FROM colbert.search_text('java_notes', ?, k => 1) s"
                    + " JOIN java_notes n ON n.id = s.doc_id", question));

                List<float[]> vectors = numbers(one(db, "SELECT colbert.encoded_query(?, 'java_notes')", question));
                int oid = Integer.parseInt(one(db, "SELECT 'vector'::regtype::oid"));
                int array = Integer.parseInt(one(db, "SELECT 'vector[]'::regtype::oid"));
                db.unwrap(PgConnection.class).getQueryExecutor().addBinarySendOid(array);  // else it sends text
                System.out.println("binary: " + one(db,
                    "SELECT doc_id FROM colbert.search('java_notes', ?, k => 1)", new Vectors(vectors, oid)));
            } finally {
                one(db, "DROP TABLE java_notes CASCADE");
            }
        }
    }
}
