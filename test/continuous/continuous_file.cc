#include "continuous_file.h"

#include <optional>
#include <regex>

#include "base/error.h"
#include "continuous_query.h"
#include "duckdb/parser/parser.hpp"
#include "stream/state_memory.h"
#include "test_script.h"

namespace millrace {

namespace {

constexpr int kSteps = 4;
constexpr int64_t kRowsMost = 30'000;

struct Outcome {
  std::string what;
  std::string reason;
};

std::string OneLine(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\t' || c == '\r') c = ' ';
  }
  return text.substr(0, 600);
}

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

/// Makes something else than a table, or changes how statements are understood.
bool ConcernsAll(const std::string& sql) {
  static const std::regex kPattern(
      "^\\s*(create\\s+(or\\s+replace\\s+)?(temp(orary)?\\s+)?(recursive\\s+)?(view|macro|function|"
      "type|schema|sequence)|drop\\s+(view|macro|function|type|sequence)|set\\s|reset\\s|"
      "pragma\\s)",
      std::regex::icase);
  static const std::regex kLeftOut(
      "verif|debug|threads|profil|memory_limit|pragma\\s+(disable|"
      "enable)_(progress|object)",
      std::regex::icase);
  return std::regex_search(sql, kPattern) && !std::regex_search(sql, kLeftOut);
}

class File {
 public:
  File(uint64_t seed, std::ostream& out) : seed_(seed), out_(out), memory_(Memory()) {}

  void Run(const std::string& path, const std::set<int>& left_out) {
    TestScript script = ReadTestScript(path);
    for (auto& extension : script.requires_) {
      if (Missing(extension)) return Write(path, 0, {"file", "requires " + extension}, "");
    }
    for (auto& record : script.records) {
      if (!record.connection.empty()) continue;
      if (record.kind == TestRecord::Kind::kStatement) {
        Execute(path, record);
      } else if (!record.repeats && !left_out.count(record.line)) {
        if (!IsQuery(record.sql)) {
          Execute(path, record);
          continue;
        }
        out_ << "RUN\t" << record.line << std::endl;
        Outcome outcome;
        try {
          outcome = Ask(record.sql);
        } catch (const std::exception& failure) {
          outcome = {"batch", ErrorFrom(failure).text()};
        }
        Write(path, record.line, outcome, record.sql);
      }
    }
  }

 private:
  static StateMemoryOptions Memory() {
    return {.folder = "/tmp", .limit_bytes = 1LL << 30, .extent_bytes = 256 << 10};
  }

  bool Missing(const std::string& extension) {
    static const std::set<std::string> kThere = {"skip_reload",
                                                 "vector_size",
                                                 "64bit",
                                                 "noforcestorage",
                                                 "no_extension_autoloading",
                                                 "noalternativeverify",
                                                 "strinline",
                                                 "notwindows",
                                                 "exact_vector_size",
                                                 "no_latest_storage",
                                                 "block_size",
                                                 "ram",
                                                 "longdouble",
                                                 "no_vector_verification"};
    if (kThere.count(extension)) return false;
    auto loaded = twins_.Given().Query(
        "SELECT count(*) FROM duckdb_extensions() WHERE loaded AND extension_name = '" + extension +
        "'");
    return loaded->HasError() || loaded->GetValue(0, 0).GetValue<int64_t>() == 0;
  }

  void Write(const std::string& path, int line, const Outcome& outcome, const std::string& sql) {
    out_ << path << "\t" << line << "\t" << outcome.what << "\t" << OneLine(outcome.reason) << "\t"
         << OneLine(sql) << std::endl;
  }

  bool IsQuery(const std::string& sql) {
    try {
      duckdb::Parser parser(twins_.Given().context->GetParserOptions());
      parser.ParseQuery(sql);
      for (auto& statement : parser.statements) {
        auto type = statement->type;
        if (type != duckdb::StatementType::SELECT_STATEMENT &&
            type != duckdb::StatementType::MULTI_STATEMENT) {
          return false;
        }
      }
      std::string lower = Lower(sql);
      for (const char* other : {"describe", "show", "summarize", "pragma"}) {
        if (lower.find(other) != std::string::npos) return false;
      }
      return !parser.statements.empty();
    } catch (const std::exception&) {
      return false;
    }
  }

  void Execute(const std::string& path, const TestRecord& record) {
    static const std::regex kNotForUs(
        "enable_verification|verify_|force_|debug_|enable_profiling|"
        "^\\s*attach|^\\s*use\\s",
        std::regex::icase);
    if (std::regex_search(record.sql, kNotForUs)) return;
    auto result = twins_.Given().Query(record.sql);
    bool failed = result->HasError();
    said_ += Lower(record.sql) + "\n";
    if (failed || record.may_fail || !ConcernsAll(record.sql)) return;
    auto problem = SyncProblem();
    if (problem) Write(path, record.line, *problem, record.sql);
    twins_.Batch().Query(record.sql);
    twins_.Streaming().Query(record.sql);
  }

  /// Sync; what stands in its way concerns this test, neither batch nor the stream.
  std::optional<Outcome> SyncProblem() {
    try {
      Sync();
      return std::nullopt;
    } catch (const std::exception& failure) {
      return Outcome{"no tables", ErrorFrom(failure).text()};
    }
  }

  /// Makes histories of tables that are new, or that statements since the last time have named.
  void Sync() {
    auto tables = twins_.Given().Query(
        "SELECT database_name, schema_name, table_name FROM duckdb_tables() WHERE NOT internal AND "
        "database_name IN ('memory', 'temp') ORDER BY ALL");
    std::set<std::pair<std::string, std::string>> there;
    for (idx_t i = 0; i < tables->RowCount(); i++) {
      there.insert({tables->GetValue(1, i).ToString(), tables->GetValue(2, i).ToString()});
    }
    // First, for a new one may have the same name but for its case.
    for (auto it = known_.begin(); it != known_.end();) {
      if (there.count(*it)) {
        it++;
      } else {
        twins_.DropTable(it->first, it->second);
        it = known_.erase(it);
      }
    }
    large_.clear();
    for (idx_t i = 0; i < tables->RowCount(); i++) {
      SyncTable(tables->GetValue(0, i).ToString(), tables->GetValue(1, i).ToString(),
                tables->GetValue(2, i).ToString());
    }
    said_.clear();
    if (calm_) said_ = AllNames();  // Next time with changes again.
  }

  void SyncTable(const std::string& database, const std::string& schema, const std::string& name) {
    bool named = said_.find(Lower(name)) != std::string::npos;
    if (known_.count({schema, name}) && !named && !calm_) return;
    std::string source = database + "." + Quoted(schema) + "." + Quoted(name);
    auto rows = twins_.Given().Query("SELECT count(*) FROM " + source);
    if (rows->HasError()) return;
    if (rows->GetValue(0, 0).GetValue<int64_t>() > kRowsMost) {
      large_.insert(Lower(name));
      return;
    }
    HistoryOptions options;
    options.steps = kSteps;
    options.seed = seed_;
    options.updated = calm_ ? 0 : 0.2;
    options.deleted = calm_ ? 0 : 0.2;
    options.at_once = calm_;
    options.come_back = true;
    twins_.AddTable(schema, name, options, 0, source);
    known_.insert({schema, name});
  }

  std::string AllNames() const {
    std::string names;
    for (auto& table : known_) names += Lower(table.second) + "\n";
    return names;
  }

  Outcome Ask(const std::string& sql) {
    auto given = twins_.Given().Query(sql);
    if (given->HasError()) return {"batch", given->GetErrorObject().RawMessage()};
    if (auto problem = SyncProblem()) return *problem;
    std::string lower = Lower(sql);
    for (auto& name : large_) {
      if (lower.find(name) != std::string::npos) return {"large", name};
    }
    Outcome outcome = Compare(sql);
    if (outcome.what != "batch" && outcome.what != "fails") return outcome;
    // Some queries fail over half of the rows, or over others: all rows at once, then.
    said_ = AllNames();
    calm_ = true;
    auto problem = SyncProblem();
    calm_ = false;
    return problem ? *problem : Compare(sql);
  }

  Outcome Compare(const std::string& given) {
    std::string sql;
    std::unique_ptr<ContinuousQuery> query;
    try {
      sql = WithTotalOrder(twins_.Batch(), given);
      query = std::make_unique<ContinuousQuery>(
          twins_, sql, DataflowOptions{.sink_key = {}, .memory = &memory_, .rules = {}});
    } catch (const std::exception& failure) {
      auto batch = twins_.Batch().Query(given);
      if (batch->HasError()) return {"batch", batch->GetErrorObject().RawMessage()};
      Error error = ErrorFrom(failure);
      for (const char* chance : {"differs from call to call", "is a clock function"}) {
        if (error.text().find(chance) != std::string::npos) return {"chance", error.text()};
      }
      return {error.code() == ErrorCode::kUnsupported ? "refused" : "fails", error.text()};
    }
    std::mt19937 random(static_cast<uint32_t>(seed_));
    for (int step = 0; step < kSteps; step++) {
      twins_.GoTo(step);
      Answer batch;
      try {
        batch = twins_.AskBatch(sql);
      } catch (const std::exception& failure) {
        return {"batch", ErrorFrom(failure).text()};
      }
      try {
        query->Step(step, random);
        if (step == 1) query->Restart();
      } catch (const std::exception& failure) {
        return {"fails", ErrorFrom(failure).text()};
      }
      std::string difference = query->Shown().Difference(batch);
      if (difference.empty()) difference = query->Fault();
      if (difference.empty()) continue;
      return IsFunction(sql) ? Outcome{"differs", fmt::format("step {}: {}", step, difference)}
                             : Outcome{"no function", ""};
    }
    return {query->Inputs() ? "same" : "constant", ""};
  }

  /// Whether batch gives one answer however its rows come.
  bool IsFunction(const std::string& sql) {
    bool same = true;
    try {
      Answer first = twins_.AskBatch(sql);
      for (int order = 1; order < 8 && same; order++) {
        twins_.Shuffle(order);
        same = twins_.AskBatch(sql) == first;
      }
    } catch (const std::exception&) {
      same = false;
    }
    return same;
  }

  uint64_t seed_;
  std::ostream& out_;
  StateMemory memory_;
  Twins twins_;
  bool calm_ = false;
  std::string said_;  // Statements since the last Sync.
  std::set<std::pair<std::string, std::string>> known_;
  std::set<std::string> large_;
};

}  // namespace

void RunContinuousFile(const std::string& path, uint64_t seed, const std::set<int>& left_out,
                       std::ostream& out) {
  File(seed, out).Run(path, left_out);
}

}  // namespace millrace
