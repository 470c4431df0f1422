#include "base/error.h"
#include "format/codec/debezium.h"
#include "format/codec/json.h"

namespace millrace {

namespace {

namespace ondemand = simdjson::ondemand;

JsonRules DebeziumRules(const Options& options) {
  JsonRules rules = ReadJsonRules(options, "debezium-json.");
  rules.epoch_numbers = true;
  return rules;
}

/// Kafka's tombstones come as no text or as null; the console tools print NULL.
bool IsTombstone(std::string_view line) {
  line = TrimBlanks(line);
  return line.empty() || line == "null" || line == "NULL";
}

class DebeziumDecoder : public Decoder {
 public:
  DebeziumDecoder(RecordFormat record, const Options& options)
      : reader_(std::move(record), DebeziumRules(options)),
        with_schema_(ReadFlag(options, "debezium-json.schema-include")) {}

  ChangelogType Changelog() const override { return ChangelogType::kFull; }

  idx_t Decode(std::string_view bytes, bool complete, ChangeChunk& chunk) override {
    chunk.ExpandKinds();
    idx_t consumed = ForEachLine(
        bytes, complete, [&] { return chunk.kinds.size() + 2 <= limit_; },
        [&](std::string_view line) {
          if (!IsTombstone(line) && !DecodeLine(line, chunk)) {
            if (!reader_.rules().ignore_errors) {
              ThrowBadRecord("Debezium JSON", origin_, record_, failure_, line,
                             "debezium-json.ignore-parse-errors");
            }
            skipped_++;
          }
          record_++;
        });
    chunk.rows.SetCardinality(chunk.kinds.size());
    return consumed;
  }

 private:
  struct Event {
    bool before = false, after = false;
    char op = 0;
  };

  bool Fail(std::string field, std::string problem) {
    failure_ = {std::move(field), std::move(problem)};
    return false;
  }
  bool Broken(simdjson::error_code error) { return Fail("", JsonProblem(error)); }

  bool DecodeLine(std::string_view line, ChangeChunk& chunk) {
    ondemand::document document;
    auto error = parser_.iterate(line.data(), line.size(), line.size() + simdjson::SIMDJSON_PADDING)
                     .get(document);
    if (error) return Broken(error);
    Event event;
    if (!ReadEvent(document, chunk, event)) return false;
    if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
      return Fail("", "there is more text behind the object");
    }
    return Finish(document, event, chunk);
  }

  /// Reads `before` (if any) into the row behind the last, `after` into the next.
  bool ReadEvent(ondemand::document& document, ChangeChunk& chunk, Event& event) {
    ondemand::object object;
    if (auto error = document.get_object().get(object)) return Broken(error);
    if (!with_schema_) return ReadMembers(object, chunk, event);
    bool payload = false;
    for (auto member : object) {
      std::string_view key;
      ondemand::value value;
      if (auto error = member.unescaped_key().get(key)) return Broken(error);
      if (auto error = member.value().get(value)) return Broken(error);
      if (key == "schema") {
        if (!ReadSchema(value)) return false;
      } else if (key == "payload") {
        ondemand::object inner;
        if (auto error = value.get_object().get(inner)) return Broken(error);
        if (!ReadMembers(inner, chunk, event)) return false;
        payload = true;
      }
    }
    return payload || Fail("payload",
                           "the record has none; without schemas in the messages leave "
                           "'debezium-json.schema-include' away");
  }

  bool ReadMembers(ondemand::object& object, ChangeChunk& chunk, Event& event) {
    idx_t row = chunk.kinds.size();
    bool enveloped = false;
    for (auto member : object) {
      std::string_view key;
      if (auto error = member.unescaped_key().get(key)) return Broken(error);
      bool before = key == "before";
      if (before || key == "after") {
        ondemand::value value;
        if (auto error = member.value().get(value)) return Broken(error);
        bool is_null;
        if (auto error = value.is_null().get(is_null)) return Broken(error);
        if (is_null) continue;
        ondemand::object image;
        if (value.get_object().get(image))
          return Fail(before ? "before" : "after", "it is no object");
        if (!reader_.Read(image, chunk.rows, row + (event.before || event.after ? 1 : 0))) {
          failure_ = reader_.Failure();
          failure_.field = std::string(before ? "before" : "after") +
                           (failure_.field.empty() ? "" : "." + failure_.field);
          return false;
        }
        if (!before && !event.before) after_first_ = true;
        if (before && !event.after) after_first_ = false;
        (before ? event.before : event.after) = true;
      } else if (key == "op") {
        std::string_view op;
        if (member.value().get_string().get(op) || op.size() != 1)
          return Fail("op", "it is no letter");
        event.op = op[0];
      } else if (key == "payload") {
        enveloped = true;
      }
    }
    if (event.op == 0) {
      return Fail("op", enveloped ? "the record has a schema envelope: set "
                                    "'debezium-json.schema-include' = 'true'"
                                  : "the record has none");
    }
    return true;
  }

  /// Gives the rows that were read their kinds.
  bool Finish(ondemand::document& document, const Event& event, ChangeChunk& chunk) {
    switch (event.op) {
      case 'c':
      case 'r':
        if (!event.after) return Fail("after", "a created row needs it, and it is null");
        if (event.before) return Fail("before", "a created row has none");
        chunk.kinds.push_back(RowKind::kInsert);
        return true;
      case 'd':
        if (!event.before) return MissingBefore("deleted");
        if (event.after) return Fail("after", "a deleted row has none");
        chunk.kinds.push_back(RowKind::kDelete);
        return true;
      case 'u':
        if (!event.before) return MissingBefore("updated");
        if (!event.after) return Fail("after", "an updated row needs it, and it is null");
        if (after_first_ && !ReadSwapped(document, chunk)) return false;
        chunk.kinds.push_back(RowKind::kUpdateBefore);
        chunk.kinds.push_back(RowKind::kUpdateAfter);
        return true;
      default:
        return Fail("op", fmt::format("'{}' is not one of c, r, u, d", event.op));
    }
  }

  bool MissingBefore(const char* what) {
    return Fail("before", fmt::format("a{} {} row needs its old values, and it is null; with "
                                      "PostgreSQL: ALTER TABLE ... REPLICA IDENTITY FULL",
                                      what[0] == 'u' ? "n" : "", what));
  }

  /// `after` stood before `before`: reads both again, each into the other's row.
  bool ReadSwapped(ondemand::document& document, ChangeChunk& chunk) {
    document.rewind();
    idx_t row = chunk.kinds.size();
    ondemand::object object, image;
    auto error = document.get_object().get(object);
    if (!error && with_schema_) {
      ondemand::object payload;
      error = object.find_field_unordered("payload").get_object().get(payload);
      if (!error) object = payload;
    }
    for (const char* name : {"before", "after"}) {
      if (!error) error = object.find_field_unordered(name).get_object().get(image);
      if (error) return Broken(error);
      if (!reader_.Read(image, chunk.rows, row + (name[0] == 'a' ? 1 : 0))) {
        failure_ = reader_.Failure();
        return false;
      }
    }
    return true;
  }

  /// Takes the units of times and the form of decimals from the envelope's schema. Records of one
  /// origin nearly always carry the same schema, so its text is compared first.
  bool ReadSchema(ondemand::value& value) {
    ondemand::object object;
    std::string_view text;
    if (value.get_object().get(object) || object.raw_json().get(text)) {
      return Fail("schema", "it is no object");
    }
    if (text == schema_) return true;
    simdjson::dom::parser parser;
    simdjson::dom::element root;
    if (auto error = parser.parse(text.data(), text.size()).get(root)) return Broken(error);
    schema_ = text;
    simdjson::dom::array images;
    if (root["fields"].get_array().get(images)) return true;
    for (simdjson::dom::element image : images) {
      std::string_view name;
      simdjson::dom::array fields;
      if (image["field"].get_string().get(name) || name != "after") continue;
      if (image["fields"].get_array().get(fields)) continue;
      for (simdjson::dom::element field : fields) TakeEncoding(field);
    }
    return true;
  }

  void TakeEncoding(simdjson::dom::element field) {
    std::string_view name, kind;
    if (field["field"].get_string().get(name)) return;
    if (field["name"].get_string().get(kind)) kind = "";
    const RecordFormat& record = reader_.record();
    for (size_t i = 0; i < record.wanted.size(); i++) {
      const DataField& column = record.fields[record.wanted[i]];
      if (column.name != name) continue;
      NumberEncoding encoding;
      encoding.unit = DefaultEpochUnit(column.type);
      auto ends = [&](std::string_view word) { return kind.ends_with(word); };
      if (ends("MicroTimestamp") || ends("MicroTime")) {
        encoding.unit = EpochUnit::kMicros;
      } else if (ends("NanoTimestamp") || ends("NanoTime")) {
        encoding.unit = EpochUnit::kNanos;
      } else if (ends(".Timestamp") || ends(".Time")) {
        encoding.unit = EpochUnit::kMillis;
      } else if (ends(".Date")) {
        encoding.unit = EpochUnit::kDays;
      } else if (ends("connect.data.Decimal")) {
        encoding.decimal_bytes = true;
        std::string_view scale;
        int64_t digits = 0;
        if (!field["parameters"]["scale"].get_string().get(scale) && ParseInteger(scale, digits)) {
          encoding.decimal_scale = static_cast<int>(digits);
        }
      }
      reader_.encodings()[i] = encoding;
    }
  }

  JsonRowReader reader_;
  bool with_schema_;
  bool after_first_ = false;
  simdjson::ondemand::parser parser_;
  std::string schema_;  // The text that encodings were taken from.
  RecordFailure failure_;
};

class DebeziumEncoder : public Encoder {
 public:
  DebeziumEncoder(std::vector<DataField> fields, const Options& options)
      : writer_(std::move(fields), ReadJsonRules(options, "debezium-json.").form) {}

  ChangelogType Accepts() const override { return ChangelogType::kFull; }

  void Encode(ChangeChunk& chunk, std::string& out) override {
    writer_.Open(chunk.rows);
    for (idx_t row = 0; row < chunk.size(); row++) {
      if (IsAdd(chunk.KindOf(row))) {
        out += "{\"before\":null,\"after\":";
        writer_.Append(row, out);
        out += ",\"op\":\"c\"}\n";
      } else {
        out += "{\"before\":";
        writer_.Append(row, out);
        out += ",\"after\":null,\"op\":\"d\"}\n";
      }
    }
  }

 private:
  JsonRowWriter writer_;
};

}  // namespace

std::vector<FormatOption> DebeziumOptions() {
  std::vector<FormatOption> options = JsonOptions("debezium-json.");
  std::erase_if(options, [](const FormatOption& option) {
    return option.name == "debezium-json.fail-on-missing-field";
  });
  options.push_back({"debezium-json.schema-include",
                     "'true': messages carry schema and payload (Kafka Connect's envelope)"});
  return options;
}

std::unique_ptr<Decoder> MakeDebeziumDecoder(RecordFormat record, const Options& options) {
  return std::make_unique<DebeziumDecoder>(std::move(record), options);
}

std::unique_ptr<Encoder> MakeDebeziumEncoder(std::vector<DataField> fields,
                                             const Options& options) {
  return std::make_unique<DebeziumEncoder>(std::move(fields), options);
}

}  // namespace millrace
