// Rows.java - the rows of the store benchmark; bench/store/rows.h says how they are made.
package bench;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.paimon.data.BinaryString;
import org.apache.paimon.data.Decimal;
import org.apache.paimon.data.GenericRow;
import org.apache.paimon.data.InternalRow;
import org.apache.paimon.data.Timestamp;

final class Rows {
  static final int COLUMNS = 11;

  /** Which columns a row has; the others are null. */
  enum Part {
    ALL,
    FIRST_HALF,
    SECOND_HALF
  }

  private static final BinaryString[] STATUS =
      Arrays.stream(
              "NEW PENDING APPROVED REJECTED SETTLED CANCELLED REVERSED ON_HOLD FAILED CLOSED"
                  .split(" "))
          .map(BinaryString::fromString)
          .toArray(BinaryString[]::new);
  private static final BinaryString[] CITY = new BinaryString[200];
  private static final byte[] DIGITS = "0123456789abcdef".getBytes(StandardCharsets.US_ASCII);

  static {
    for (int i = 0; i < CITY.length; i++) {
      CITY[i] = BinaryString.fromString(String.format("city_%03d", i));
    }
  }

  private Rows() {}

  static long mix(long x) {
    x += 0x9E3779B97F4A7C15L;
    x = (x ^ (x >>> 30)) * 0xBF58476D1CE4E5B9L;
    x = (x ^ (x >>> 27)) * 0x94D049BB133111EBL;
    return x ^ (x >>> 31);
  }

  static long hash(long write, int column) {
    return mix(mix(42 + write) + column);
  }

  static long below(long x, long limit) {
    return (x >>> 1) % limit;
  }

  static int[] shuffled(int count) {
    int[] numbers = new int[count];
    for (int i = 0; i < count; i++) numbers[i] = i;
    for (int i = count - 1; i >= 1; i--) {
      int other = (int) below(mix(42 + i), i + 1);
      int kept = numbers[i];
      numbers[i] = numbers[other];
      numbers[other] = kept;
    }
    return numbers;
  }

  static void fill(GenericRow row, long id, long write, Part part) {
    for (int i = 1; i < COLUMNS; i++) row.setField(i, null);
    row.setField(0, id);
    if (part != Part.SECOND_HALF) {
      row.setField(1, below(hash(write, 1), 1_000_000));
      row.setField(2, (int) below(hash(write, 2), 500));
      row.setField(3, Decimal.fromUnscaledLong(below(hash(write, 3), 100_000_000), 18, 2));
      row.setField(4, (hash(write, 4) >>> 11) * 0x1.0p-53 * 1_000_000.0);
      row.setField(5, STATUS[(int) below(hash(write, 5), STATUS.length)]);
    }
    if (part != Part.FIRST_HALF) {
      row.setField(6, memo(hash(write, 6), hash(write, 7)));
      row.setField(7, CITY[(int) below(hash(write, 8), CITY.length)]);
      long created = 1_600_000_000_000L + below(mix(id), 100_000_000_000L);
      row.setField(8, Timestamp.fromEpochMillis(created));
      row.setField(9, Timestamp.fromEpochMillis(1_700_000_000_000L + write));
      row.setField(10, (hash(write, 9) & 1) == 1);
    }
  }

  private static BinaryString memo(long high, long low) {
    byte[] text = new byte[32];
    for (int i = 0; i < 16; i++) {
      text[i] = DIGITS[(int) (high >>> (60 - 4 * i)) & 15];
      text[16 + i] = DIGITS[(int) (low >>> (60 - 4 * i)) & 15];
    }
    return BinaryString.fromBytes(text);
  }

  private static long text(InternalRow row, int column) {
    if (row.isNullAt(column)) return 0;
    BinaryString value = row.getString(column);
    int size = value.getSizeInBytes();
    return size + value.byteAt(0) + value.byteAt(size - 1);
  }

  private static long time(InternalRow row, int column) {
    return row.isNullAt(column) ? 0 : row.getTimestamp(column, 3).getMillisecond();
  }

  private static long amount(InternalRow row, int column) {
    return row.isNullAt(column) ? 0 : row.getDecimal(column, 18, 2).toUnscaledLong();
  }

  private static long number(InternalRow row, int column) {
    return row.isNullAt(column) ? 0 : row.getLong(column);
  }

  /** The sum over all values of a whole row. */
  static long checksum(InternalRow row) {
    long sum = row.getLong(0) + number(row, 1) + amount(row, 3);
    if (!row.isNullAt(2)) sum += row.getInt(2);
    if (!row.isNullAt(4)) sum += Double.doubleToRawLongBits(row.getDouble(4));
    sum += text(row, 5) + text(row, 6) + text(row, 7) + time(row, 8) + time(row, 9);
    if (!row.isNullAt(10) && row.getBoolean(10)) sum++;
    return sum;
  }

  /** The same of a row of customer_id and amount. */
  static long checksumOfTwo(InternalRow row) {
    return number(row, 0) + amount(row, 1);
  }
}
