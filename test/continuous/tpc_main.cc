// tpc_main.cc - TPC-H's and TPC-DS's queries as continuous queries, compared with batch after every
// step.
//
// tpc_continuous [--suite tpch|tpcds] [--only 1,5] [--steps 20] [--seed 1] [--shards N] [--disk]
// [--as-is] [-v]
//                FOLDER
//
// FOLDER is what prepare.py made. All queries of a suite run side by side over tables that change
// at random (seed printed); --disk keeps their state on disk. The seed also says in how many shards
// each runs; --shards N: all in so many. Once, in some step, each query is saved, and goes on in a
// dataflow compiled afresh, with another number of threads. A query that had no row in any step
// runs again over tables in which its constants are frequent, unless --as-is; seven run with weaker
// conditions too (eased_queries.h), and these must have rows. Exit code: 1 when one differs, 77
// without FOLDER.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "base/error.h"
#include "continuous_query.h"
#include "eased_queries.h"
#include "io/worker_pool.h"
#include "likely_values.h"
#include "stream/state_memory.h"

namespace millrace {
namespace {

constexpr size_t kSideBySide = 8;
constexpr uint32_t kMostThreads = 3;

struct Settings {
  std::vector<std::string> suites;
  std::set<int> only;
  int steps = 20;
  uint64_t seed = 1;
  idx_t shards = 0;  // 0: the seed says.
  bool disk = false;
  bool verbose = false;
  bool likely = true;  // Queries without any row run again over tables made for them.
  std::string folder;
};

/// A query to be run: its text, or the one with weaker conditions.
struct Text {
  int number = 0;
  bool eased = false;
  std::string sql;
};

struct Running {
  Text text;
  std::string sql;
  std::unique_ptr<ContinuousQuery> query;
  bool likely = false;
  int restart_at = 0;
  std::mt19937 random;
  std::string problem;
  int64_t rows_most = 0;
  int64_t state_most = 0;
  int steps_with_rows = 0;
  double seconds = 0;
};

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::filesystem::path QueryPath(const std::filesystem::path& folder, int number) {
  return folder / fmt::format("{:02}.sql", number);
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Columns that make a row unique stay as they are in updates, and so does the calendar: queries
/// take a month for one number.
idx_t KeyColumns(const std::string& table) {
  if (table == "date_dim") return 100;
  return table == "lineitem" || table == "partsupp" || table == "inventory" ? 2 : 1;
}

/// It takes one number from the calendar (two are an error), which must then stay as it is.
bool OneMonth(const std::string& sql) {
  static const std::regex kOne("d_week_seq\\s*=\\s*\\(\\s*SELECT|SELECT DISTINCT \\(?d_month_seq");
  return std::regex_search(sql, kOne);
}

std::vector<std::string> TablesOf(const std::filesystem::path& folder) {
  std::vector<std::string> tables;
  for (auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".parquet") tables.push_back(entry.path().stem());
  }
  std::sort(tables.begin(), tables.end());
  return tables;
}

/// `likely`: a query whose conditions are to hold for most rows.
void LoadTables(Twins& twins, const std::filesystem::path& folder,
                const std::vector<std::string>& tables, const Settings& settings,
                const std::string& likely = "") {
  HistoryOptions options;
  options.steps = settings.steps;
  options.seed = settings.seed;
  std::map<std::string, std::set<std::string>> constants, none;
  if (!likely.empty()) constants = ComparedConstants(twins.Given(), likely);
  for (auto& table : tables) {
    bool calendar = table == "date_dim" && !likely.empty() && OneMonth(likely);
    std::string file = "'" + (folder / (table + ".parquet")).string() + "'";
    auto given = twins.Given().Query("FROM " + file + " LIMIT 0");
    if (given->HasError()) given->ThrowError();
    auto made = twins.Given().Query("CREATE OR REPLACE TABLE " + Quoted(table) + " AS " +
                                    WithConstants(calendar ? none : constants, given->names,
                                                  given->types, file, settings.seed));
    if (made->HasError()) made->ThrowError();
    twins.AddTable("main", table, options, KeyColumns(table));
  }
}

void Step(Twins& twins, Running& running, int step) {
  double start = Now();
  try {
    running.query->Step(step, running.random);
    running.state_most = std::max(running.state_most, running.query->StateBytes());
    if (step == running.restart_at) running.query->Restart(1 + running.random() % kMostThreads);
    Answer batch = twins.AskBatch(running.sql);
    running.rows_most = std::max(running.rows_most, batch.Rows());
    running.steps_with_rows += batch.Rows() > 0;
    running.problem = running.query->Fault();
    std::string difference = running.query->Shown().Difference(batch);
    if (!difference.empty()) running.problem += "differs from batch:\n" + difference;
  } catch (const std::exception& failure) {
    running.problem = ErrorFrom(failure).text();
  }
  if (!running.problem.empty()) {
    running.problem = fmt::format("step {}: {}", step, running.problem);
  }
  running.seconds += Now() - start;
}

/// Runs queries side by side, so that they share what it costs to make a step.
std::vector<Running> RunQueries(Twins& twins, const std::vector<Text>& texts,
                                const Settings& settings, const DataflowOptions& options) {
  std::vector<Running> queries;
  for (auto& text : texts) {
    Running running;
    running.text = text;
    running.random.seed(static_cast<uint32_t>(settings.seed * 1000) +
                        static_cast<uint32_t>(text.number));
    running.restart_at = static_cast<int>(running.random() % static_cast<uint32_t>(settings.steps));
    try {
      running.sql = WithTotalOrder(twins.Batch(), text.sql);
      DataflowOptions chosen = options;
      constexpr idx_t kShards[] = {1, 4, 8};
      chosen.shards = settings.shards ? settings.shards : kShards[running.random() % 3];
      chosen.threads = 1 + running.random() % kMostThreads;
      running.query = std::make_unique<ContinuousQuery>(twins, running.sql, chosen);
    } catch (const std::exception& failure) {
      running.problem = ErrorFrom(failure).text();
    }
    queries.push_back(std::move(running));
  }
  for (int step = 0; step < settings.steps; step++) {
    twins.GoTo(step);
    for (auto& running : queries) {
      if (running.problem.empty()) Step(twins, running, step);
    }
  }
  for (auto& running : queries) {
    bool often = running.steps_with_rows * 3 >= settings.steps;
    if (!running.text.eased || often || !running.problem.empty()) continue;
    running.problem = "its weaker conditions are meant to have rows in a third of the steps";
  }
  return queries;
}

void Report(const std::string& suite, const Running& running, const Settings& settings) {
  std::printf("%s %02d%s: %s, rows in %d of %d steps, %lld at most%s, %.1f s, %.0f MB\n",
              suite.c_str(), running.text.number, running.text.eased ? " eased" : "",
              running.problem.empty() ? "same as batch" : "FAILS", running.steps_with_rows,
              settings.steps, static_cast<long long>(running.rows_most),
              running.likely ? " (likely values)" : "", running.seconds,
              static_cast<double>(running.state_most) / 1e6);
  if (!running.problem.empty()) {
    std::printf("%s\n", running.problem.c_str());
    if (settings.verbose && running.query) std::printf("%s\n", running.query->Explain().c_str());
  }
  std::fflush(stdout);
}

/// The same query once more over tables made so that its conditions are likely.
Running RunLikely(const std::filesystem::path& folder, const Text& text, const Settings& settings,
                  const DataflowOptions& options) {
  Twins twins;
  LoadTables(twins, folder, TablesOf(folder), settings, text.sql);
  return std::move(RunQueries(twins, {text}, settings, options)[0]);
}

std::vector<Text> TextsOf(const std::string& suite, const std::filesystem::path& folder,
                          const Settings& settings) {
  std::vector<Text> texts;
  for (int number = 1; number < 100; number++) {
    bool wanted = settings.only.empty() || settings.only.count(number);
    if (!wanted || !std::filesystem::exists(QueryPath(folder, number))) continue;
    texts.push_back({number, false, ReadFile(QueryPath(folder, number))});
    auto eased = EasedQuery(suite, number, texts.back().sql);
    if (eased) texts.push_back({number, true, *eased});
  }
  return texts;
}

bool RunSuite(const std::string& suite, const Settings& settings) {
  auto folder = std::filesystem::path(settings.folder) / suite;
  std::printf("%s, seed %llu\n", suite.c_str(), static_cast<unsigned long long>(settings.seed));
  StateMemory memory({.folder = std::filesystem::temp_directory_path(),
                      .limit_bytes = settings.disk ? 0 : 2LL << 30,
                      .extent_bytes = 256 << 10});
  auto executor = MakeThreadExecutor();
  WorkerPool workers(*executor, "worker", kMostThreads - 1);
  DataflowOptions options;
  options.memory = &memory;
  options.workers = &workers;
  Twins twins;
  LoadTables(twins, folder, TablesOf(folder), settings);
  std::vector<Text> texts = TextsOf(suite, folder, settings);
  std::set<int> numbers, failed, with_rows;
  for (size_t first = 0; first < texts.size(); first += kSideBySide) {
    auto begin = texts.begin() + static_cast<std::ptrdiff_t>(first);
    auto end =
        texts.begin() + static_cast<std::ptrdiff_t>(std::min(texts.size(), first + kSideBySide));
    for (Running& running : RunQueries(twins, {begin, end}, settings, options)) {
      Text text = running.text;
      bool never = running.problem.empty() && !text.eased && running.steps_with_rows == 0;
      if (never && settings.likely && !EasedQuery(suite, text.number, text.sql)) {
        running.query.reset();
        running = RunLikely(folder, text, settings, options);
        running.likely = true;
      }
      numbers.insert(text.number);
      if (!running.problem.empty()) failed.insert(text.number);
      if (running.steps_with_rows > 0) with_rows.insert(text.number);
      Report(suite, running, settings);
    }
  }
  std::printf(
      "%s: %zu of %zu queries are the same as batch after each of %d steps, %zu of them never "
      "had a row\n",
      suite.c_str(), numbers.size() - failed.size(), numbers.size(), settings.steps,
      numbers.size() - with_rows.size());
  return failed.empty() && !numbers.empty();
}

int Main(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; i++) {
    std::string argument = argv[i];
    auto value = [&]() -> std::string { return i + 1 < argc ? argv[++i] : ""; };
    if (argument == "--suite") {
      settings.suites.push_back(value());
    } else if (argument == "--only") {
      std::stringstream list(value());
      for (std::string number; std::getline(list, number, ',');)
        settings.only.insert(std::atoi(number.c_str()));
    } else if (argument == "--steps") {
      settings.steps = std::atoi(value().c_str());
    } else if (argument == "--seed") {
      settings.seed = std::strtoull(value().c_str(), nullptr, 10);
    } else if (argument == "--shards") {
      settings.shards = std::strtoull(value().c_str(), nullptr, 10);
    } else if (argument == "--disk") {
      settings.disk = true;
    } else if (argument == "--as-is") {
      settings.likely = false;
    } else if (argument == "-v") {
      settings.verbose = true;
    } else {
      settings.folder = argument;
    }
  }
  if (!std::filesystem::exists(std::filesystem::path(settings.folder) / ".done")) {
    std::printf("skipped: no tables in '%s'; make them with test/continuous/prepare.py\n",
                settings.folder.c_str());
    return 77;
  }
  if (settings.suites.empty()) settings.suites = {"tpch", "tpcds"};
  bool same = true;
  for (auto& suite : settings.suites) same = RunSuite(suite, settings) && same;
  return same ? 0 : 1;
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  return millrace::Main(argc, argv);
}
