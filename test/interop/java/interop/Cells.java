// Cells.java - values of Paimon's internal rows as JSON and back, in one canonical form.
//
// FLOAT and DOUBLE are the hex digits of their bits, DECIMAL its plain text, binaries hex digits,
// DATE and TIME numbers, TIMESTAMP "<epoch ms>:<ns of the ms>", ARRAY and ROW lists, MAP and
// MULTISET lists of pairs ordered by the UTF-8 of the key. test/interop/cells.cc does the same.
package interop;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.paimon.data.BinaryString;
import org.apache.paimon.data.DataGetters;
import org.apache.paimon.data.Decimal;
import org.apache.paimon.data.GenericArray;
import org.apache.paimon.data.GenericMap;
import org.apache.paimon.data.GenericRow;
import org.apache.paimon.data.InternalArray;
import org.apache.paimon.data.InternalMap;
import org.apache.paimon.data.InternalRow;
import org.apache.paimon.data.Timestamp;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.JsonNodeFactory;
import org.apache.paimon.types.ArrayType;
import org.apache.paimon.types.DataType;
import org.apache.paimon.types.DataTypes;
import org.apache.paimon.types.DecimalType;
import org.apache.paimon.types.MapType;
import org.apache.paimon.types.MultisetType;
import org.apache.paimon.types.RowType;
import org.apache.paimon.utils.InternalRowUtils;

final class Cells {
  private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

  private Cells() {}

  static Object parse(JsonNode json, DataType type) {
    if (json.isNull()) return null;
    switch (type.getTypeRoot()) {
      case BOOLEAN:
        return json.booleanValue();
      case TINYINT:
        return (byte) json.intValue();
      case SMALLINT:
        return (short) json.intValue();
      case INTEGER:
      case DATE:
      case TIME_WITHOUT_TIME_ZONE:
        return json.intValue();
      case BIGINT:
        return json.longValue();
      case FLOAT:
        return Float.intBitsToFloat(Integer.parseUnsignedInt(json.textValue(), 16));
      case DOUBLE:
        return Double.longBitsToDouble(Long.parseUnsignedLong(json.textValue(), 16));
      case CHAR:
      case VARCHAR:
        return BinaryString.fromString(json.textValue());
      case BINARY:
      case VARBINARY:
        return bytes(json.textValue());
      case DECIMAL:
        DecimalType decimal = (DecimalType) type;
        return Decimal.fromBigDecimal(
            new BigDecimal(json.textValue()), decimal.getPrecision(), decimal.getScale());
      case TIMESTAMP_WITHOUT_TIME_ZONE:
      case TIMESTAMP_WITH_LOCAL_TIME_ZONE:
        String[] parts = json.textValue().split(":");
        return Timestamp.fromEpochMillis(Long.parseLong(parts[0]), Integer.parseInt(parts[1]));
      case ARRAY:
        List<Object> elements = new ArrayList<>();
        for (JsonNode each : json) elements.add(parse(each, ((ArrayType) type).getElementType()));
        return new GenericArray(elements.toArray());
      case MAP:
      case MULTISET:
        Map<Object, Object> pairs = new LinkedHashMap<>();
        for (JsonNode each : json) {
          pairs.put(parse(each.get(0), keyType(type)), parse(each.get(1), valueType(type)));
        }
        return new GenericMap(pairs);
      case ROW:
        return parseRow(json, 0, (RowType) type);
      default:
        throw new IllegalArgumentException("no JSON form of " + type);
    }
  }

  static GenericRow parseRow(JsonNode json, int first, RowType type) {
    GenericRow row = new GenericRow(type.getFieldCount());
    for (int i = 0; i < type.getFieldCount(); i++) {
      row.setField(i, parse(json.get(first + i), type.getTypeAt(i)));
    }
    return row;
  }

  static ArrayNode rowOf(InternalRow row, RowType type) {
    ArrayNode json = JSON.arrayNode();
    for (int i = 0; i < type.getFieldCount(); i++) json.add(cell(row, i, type.getTypeAt(i)));
    return json;
  }

  private static JsonNode cell(DataGetters row, int at, DataType type) {
    Object value = InternalRowUtils.get(row, at, type);
    if (value == null) return JSON.nullNode();
    switch (type.getTypeRoot()) {
      case BOOLEAN:
        return JSON.booleanNode((Boolean) value);
      case FLOAT:
        return JSON.textNode(String.format("%08x", Float.floatToIntBits((Float) value)));
      case DOUBLE:
        return JSON.textNode(String.format("%016x", Double.doubleToLongBits((Double) value)));
      case CHAR:
      case VARCHAR:
        return JSON.textNode(value.toString());
      case BINARY:
      case VARBINARY:
        return JSON.textNode(hex((byte[]) value));
      case DECIMAL:
        return JSON.textNode(((Decimal) value).toBigDecimal().toPlainString());
      case TIMESTAMP_WITHOUT_TIME_ZONE:
      case TIMESTAMP_WITH_LOCAL_TIME_ZONE:
        Timestamp time = (Timestamp) value;
        return JSON.textNode(time.getMillisecond() + ":" + time.getNanoOfMillisecond());
      case ARRAY:
        return list((InternalArray) value, ((ArrayType) type).getElementType());
      case MAP:
      case MULTISET:
        return pairs((InternalMap) value, keyType(type), valueType(type));
      case ROW:
        return rowOf((InternalRow) value, (RowType) type);
      default:
        return JSON.numberNode(((Number) value).longValue());
    }
  }

  private static ArrayNode list(InternalArray values, DataType type) {
    ArrayNode json = JSON.arrayNode();
    for (int i = 0; i < values.size(); i++) json.add(cell(values, i, type));
    return json;
  }

  private static ArrayNode pairs(InternalMap map, DataType keys, DataType values) {
    TreeMap<byte[], ArrayNode> sorted = new TreeMap<>(Arrays::compareUnsigned);
    for (int i = 0; i < map.size(); i++) {
      ArrayNode pair = JSON.arrayNode();
      pair.add(cell(map.keyArray(), i, keys)).add(cell(map.valueArray(), i, values));
      sorted.put(pair.get(0).toString().getBytes(StandardCharsets.UTF_8), pair);
    }
    return JSON.arrayNode().addAll(sorted.values());
  }

  private static DataType keyType(DataType type) {
    return type instanceof MapType
        ? ((MapType) type).getKeyType()
        : ((MultisetType) type).getElementType();
  }

  private static DataType valueType(DataType type) {
    return type instanceof MapType ? ((MapType) type).getValueType() : DataTypes.INT();
  }

  static String hex(byte[] bytes) {
    StringBuilder text = new StringBuilder();
    for (byte b : bytes) text.append(String.format("%02x", b));
    return text.toString();
  }

  static byte[] bytes(String hex) {
    byte[] bytes = new byte[hex.length() / 2];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
    }
    return bytes;
  }
}
