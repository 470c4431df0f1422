#include "sql/connect/file/filesystem.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "format/codec/codec.h"
#include "sql/connect/file/file_table.h"

namespace millrace {

namespace {

std::vector<std::string> FormatNames() {
  std::vector<std::string> names = CodecNames();
  names.push_back("parquet");
  return names;
}

class FilesystemConnector : public Connector {
 public:
  std::string Name() const override { return "filesystem"; }
  bool CanRead() const override { return true; }
  bool CanWrite() const override { return true; }

  std::vector<OptionInfo> KnownOptions() const override {
    std::vector<OptionInfo> known = {
        {"path", "a file or a folder", true},
        {"format", "'csv', 'json', 'debezium-json' or 'parquet'", true},
        {"source.monitor-interval",
         "watch the folder for new files this often; the source has no end"},
        {"sink.rolling-policy.file-size", "a file of the sink ends at this size, default '128MB'"},
        {"sink.rolling-policy.rollover-interval", "accepted; every checkpoint ends the files"},
        {"sink.rolling-policy.check-interval", "accepted"},
        {"partition.default-name", "a folder's name for NULL, default __DEFAULT_PARTITION__"},
        {"parquet.compression", "'zstd' (default), 'snappy', 'gzip', 'lz4', 'uncompressed'"},
    };
    for (const std::string& format : CodecNames()) {
      for (FormatOption& option : CodecOptions(format)) {
        known.push_back({std::move(option.name), std::move(option.description)});
      }
    }
    return known;
  }

  void Validate(const TableDefinition& definition) const override { FileTable table(definition); }

  std::string GroupKey(const TableDefinition& definition) const override {
    std::string key = definition.path.ToString();
    for (const auto& [name, value] : definition.options) key += "\n" + name + "=" + value;
    return key;
  }

  std::unique_ptr<Source> MakeSource(Environment& environment,
                                     const std::vector<SourceTable>& tables,
                                     bool bounded) const override {
    MILLRACE_CHECK(tables.size() == 1);
    return MakeFileSource(environment, tables[0], bounded);
  }

  std::unique_ptr<Sink> MakeSink(Environment& environment, const TableDefinition& definition,
                                 const std::string& job) const override {
    return MakeFileSink(environment, definition, job);
  }
};

int64_t ReadBytes(const TableOptions& options, const std::string& name, int64_t standard) {
  if (!options.Has(name)) return standard;
  std::string text = options.Text(name);
  size_t digits = text.find_first_not_of("0123456789");
  std::string unit = digits == std::string::npos ? "b" : text.substr(digits);
  std::erase(unit, ' ');
  for (char& c : unit) c = static_cast<char>(std::tolower(c));
  static const std::map<std::string, int> kShifts = {{"b", 0},   {"k", 10}, {"kb", 10}, {"m", 20},
                                                     {"mb", 20}, {"g", 30}, {"gb", 30}};
  auto shift = kShifts.find(unit);
  if (digits == 0 || std::min(digits, text.size()) > 9 || shift == kShifts.end()) {
    options.Refuse(name, "it must be a size such as '128MB'");
  }
  return std::stoll(text.substr(0, digits)) << shift->second;
}

}  // namespace

FileTable::FileTable(const TableDefinition& table) : definition(&table) {
  TableOptions options(table);
  path = options.Required("path");
  if (path.starts_with("file:")) path = path.substr(path.starts_with("file://") ? 7 : 5);
  if (path.find("://") != std::string::npos) options.Refuse("path", "only local paths are served");
  if (path.empty()) options.Refuse("path", "it must name a file or a folder");
  path = std::filesystem::absolute(path).lexically_normal().string();
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  format = options.Required("format");
  std::vector<std::string> formats = FormatNames();
  if (std::find(formats.begin(), formats.end(), format) == formats.end()) {
    options.Refuse("format", "it can be 'csv', 'json', 'debezium-json' or 'parquet'" +
                                 DidYouMean(format, formats));
  }
  for (const auto& [name, value] : table.options) {
    for (const std::string& other : formats) {
      if (other != format && name.starts_with(other + ".")) {
        options.Refuse(name,
                       fmt::format("the table's format is '{}', so it has no effect", format));
      }
    }
  }
  for (const char* ending : {".csv", ".json", ".jsonl", ".parquet"}) {
    if (path.ends_with(ending)) single_file = true;
  }
  monitor_ms = options.DurationMs("source.monitor-interval", 0);
  roll_bytes = ReadBytes(options, "sink.rolling-policy.file-size", 128 << 20);
  default_partition = options.Text("partition.default-name", "__DEFAULT_PARTITION__");
  all = PhysicalFields(table);
  for (const std::string& key : table.partition_keys) {
    auto found =
        std::find_if(all.begin(), all.end(), [&](const DataField& f) { return f.name == key; });
    if (found == all.end()) {
      Throw(ErrorCode::kInvalid, "Table {}: PARTITIONED BY names '{}', which is no column of it",
            table.path.ToString(), key);
    }
    partition_columns.push_back(static_cast<idx_t>(found - all.begin()));
  }
  for (idx_t i = 0; i < all.size(); i++) {
    if (std::count(partition_columns.begin(), partition_columns.end(), i)) continue;
    fields.push_back(all[i]);
    data_columns.push_back(i);
  }
  for (const ColumnDefinition& column : table.columns) {
    if (column.metadata && *column.metadata != "file.path" && *column.metadata != "file.name") {
      Throw(ErrorCode::kInvalid,
            "Table {}: column '{}' asks for metadata '{}'; connector 'filesystem' has 'file.path' "
            "and "
            "'file.name', both STRING",
            table.path.ToString(), column.name, *column.metadata);
    }
  }
  if (single_file && !partition_columns.empty()) {
    options.Refuse("path", "a partitioned table needs a folder");
  }
  if (!IsParquet()) ValidateCodec(format, fields, table.options);
}

std::string FileTable::Ending() const {
  if (format == "debezium-json") return ".json";
  return "." + format;
}

std::string EscapePathPart(std::string_view text) {
  std::string escaped;
  for (char c : text) {
    bool special = static_cast<uint8_t>(c) < 0x20 ||
                   std::string_view("\"#%'*/:=?\\{}[]^").find(c) != std::string_view::npos;
    if (special) {
      escaped += fmt::format("%{:02X}", static_cast<uint8_t>(c));
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string UnescapePathPart(std::string_view text) {
  auto hex = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  std::string plain;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '%' && i + 2 < text.size() && std::isxdigit(static_cast<uint8_t>(text[i + 1])) &&
        std::isxdigit(static_cast<uint8_t>(text[i + 2]))) {
      plain += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

void RegisterFilesystemConnector(ConnectorRegistry& registry) {
  registry.Register(std::make_unique<FilesystemConnector>());
}

}  // namespace millrace
