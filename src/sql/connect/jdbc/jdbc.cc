#include "sql/connect/jdbc/jdbc.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "sql/connect/jdbc/jdbc_table.h"

namespace millrace {

namespace {

class JdbcConnector : public Connector {
 public:
  std::string Name() const override { return "jdbc"; }
  bool CanRead() const override { return true; }
  bool CanWrite() const override { return true; }

  std::vector<OptionInfo> KnownOptions() const override {
    return {
        {"url", "'duckdb:/path/file.db' or 'jdbc:duckdb:/path/file.db'", true},
        {"table-name", "the table in the database, or schema.table", true},
        {"driver", "accepted; the url says it all"},
        {"username", "accepted; a database file has no users"},
        {"password", "accepted; a database file has no users"},
        {"connection.max-retry-timeout",
         "wait this long for another process to release the file, default 60 s"},
        {"scan.fetch-size", "accepted"},
        {"scan.auto-commit", "accepted"},
        {"sink.buffer-flush.max-rows", "accepted; each step is written as one transaction"},
        {"sink.buffer-flush.interval", "accepted; each step is written as one transaction"},
        {"sink.max-retries", "accepted"},
    };
  }

  void Validate(const TableDefinition& definition) const override { JdbcTable table(definition); }

  std::string GroupKey(const TableDefinition& definition) const override {
    std::string key = definition.path.ToString();
    for (const auto& [name, value] : definition.options) key += "\n" + name + "=" + value;
    return key;
  }

  std::unique_ptr<Source> MakeSource(Environment& environment,
                                     const std::vector<SourceTable>& tables, bool) const override {
    MILLRACE_CHECK(tables.size() == 1);
    return MakeJdbcSource(environment, tables[0]);
  }
  std::unique_ptr<Sink> MakeSink(Environment& environment, const TableDefinition& definition,
                                 const std::string& job) const override {
    return MakeJdbcSink(environment, definition, job);
  }
};

}  // namespace

namespace {

// Also behind a link to a file that is not there yet.
std::string TrueName(const std::string& name) {
  constexpr int kLinksMax = 40;  // As Linux.
  std::filesystem::path path = std::filesystem::absolute(name);
  for (int i = 0; i < kLinksMax && std::filesystem::is_symlink(path); i++) {
    path = path.parent_path() / std::filesystem::read_symlink(path);
  }
  return std::filesystem::weakly_canonical(path).string();
}

}  // namespace

JdbcTable::JdbcTable(const TableDefinition& definition) : name(definition.path.ToString()) {
  TableOptions options(definition);
  std::string url = options.Required("url");
  std::string rest = url.starts_with("jdbc:") ? url.substr(5) : url;
  if (!rest.starts_with("duckdb:")) {
    options.Refuse("url", "only database files of DuckDB are served: 'duckdb:/path/file.db'");
  }
  rest = rest.substr(7);
  if (rest.empty() || rest == ":memory:") options.Refuse("url", "it must name a file");
  // One name for each file, so that a process opens it once.
  path = TrueName(rest);
  std::string target = options.Required("table-name");
  size_t point = target.find('.');
  schema = point == std::string::npos ? "main" : target.substr(0, point);
  table = point == std::string::npos ? target : target.substr(point + 1);
  if (schema.empty() || table.empty())
    options.Refuse("table-name", "it must be a name, or schema.name");
  if (table == "millrace_steps") options.Refuse("table-name", "the sink keeps its progress there");
  timeout_ms = options.DurationMs("connection.max-retry-timeout", 60'000);
  fields = PhysicalFields(definition);
  for (const std::string& column : definition.primary_key) {
    auto found = std::find_if(fields.begin(), fields.end(),
                              [&](const DataField& f) { return f.name == column; });
    if (found == fields.end()) {
      Throw(ErrorCode::kInvalid,
            "Table {}: PRIMARY KEY names '{}', which is no physical column of it", name, column);
    }
    key.push_back(static_cast<idx_t>(found - fields.begin()));
  }
}

std::string JdbcTable::Target() const {
  return QuotedName(schema) + "." + QuotedName(table);
}

std::string QuotedName(const std::string& name) {
  std::string quoted = "\"";
  for (char c : name) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string QuotedText(const std::string& text) {
  std::string quoted = "'";
  for (char c : text) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return quoted + "'";
}

void RegisterJdbcConnector(ConnectorRegistry& registry) {
  registry.Register(std::make_unique<JdbcConnector>());
}

}  // namespace millrace
