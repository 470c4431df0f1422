#include "session/engine.h"

#include <algorithm>
#include <iostream>

#include "base/error.h"
#include "duckdb/catalog/catalog_search_path.hpp"
#include "duckdb/main/client_data.hpp"
#include "duckdb/main/config.hpp"
#include "duckdb/parallel/task_scheduler.hpp"
#include "duckdb/storage/buffer_manager.hpp"
#include "session/time_zone.h"
#include "sql/flink_functions.h"
#include "stream/lake_sink.h"
#include "stream/lake_source.h"
#include "table/scan_start.h"

namespace millrace {

namespace {

constexpr int64_t kMetadataCacheBytes = 256 << 20;

}  // namespace

Engine::Engine(ConnectorRegistry& connectors, const SessionOptions& options)
    : connectors_(connectors),
      fresh_(options.fresh),
      files_(MakeLocalFileSystem()),
      clock_(MakeSystemClock()),
      executor_(MakeThreadExecutor()),
      services_(std::make_shared<CatalogServices>()) {
  duckdb::DBConfig config;
  config.SetOptionByName("autoinstall_known_extensions", Value::BOOLEAN(false));
  config.SetOptionByName("autoload_known_extensions", Value::BOOLEAN(false));
  if (options.memory_limit_bytes > 0) {
    config.SetOptionByName("memory_limit", Value(std::to_string(options.memory_limit_bytes) + "B"));
  }
  // It would turn SUM(x + c) into SUM(x) + c * COUNT(x), which overflows where the original does
  // not. And filters from joins would go down past LIMIT, which then takes other rows.
  config.SetOptionByName("disabled_optimizers", Value("sum_rewriter,join_filter_pushdown"));
  config.SetOptionByName("temp_directory", Value(JoinPath(options.data_folder, "tmp")));
  database_ = duckdb::make_uniq<duckdb::DuckDB>(nullptr, &config);
  budget_ = std::make_unique<MemoryBudget>(*database_->instance);
  metadata_cache_ = std::make_unique<ObjectCache>(kMetadataCacheBytes, budget_.get());
  first_limit_bytes_ = budget_->Limit();
  state_memory_ = std::make_unique<StateMemory>(
      StateMemoryOptions{.folder = JoinPath(options.data_folder, "tmp"), .budget = budget_.get()});
  workers_ = std::make_unique<WorkerPool>(*executor_, "worker", Threads() - 1);
  environment_.reset(new Environment{*files_, *clock_, random_, *database_->instance,
                                     options.data_folder, options.out ? *options.out : std::cout,
                                     state_memory_.get(), workers_.get()});
  RegisterFlinkFunctions(*database_->instance);
  services_->open_scan = [this](std::shared_ptr<const TableDefinition> definition) {
    return MakeBatchScanOpener(*this, std::move(definition));
  };
  services_->open_warehouse = [this](const std::string& name, const std::string& folder) {
    if (files_->List(folder).empty()) {
      Throw(ErrorCode::kNotFound,
            "Attaching '{}' as '{}': there is nothing; CREATE CATALOG makes a new warehouse",
            folder, name);
    }
    return MakeLakeStore(table_context(), name, {{"type", "paimon"}, {"warehouse", folder}});
  };
  RegisterMillraceCatalogs(*database_->instance, services_);
  attaching_ = std::make_unique<duckdb::Connection>(*database_);
  services_->time_zone = CurrentTimeZone(*attaching_);
  auto store = MakeMemoryStore(kDefaultCatalog);
  store->CreateDatabase(kDefaultDatabase, false);
  AttachStore(*attaching_, *services_, std::move(store));
}

Engine::~Engine() = default;

std::unique_ptr<QueryConnection> Engine::NewConnection(const std::string& catalog,
                                                       const std::string& database,
                                                       bool duck_meaning) {
  auto connection = std::make_unique<QueryConnection>(*database_);
  duckdb::vector<duckdb::CatalogSearchEntry> path;
  // The current database first: DuckDB looks for `database.table` in the catalog of the first
  // entry.
  path.emplace_back(catalog, database);
  if (!duck_meaning) path.emplace_back("memory", kFlinkSchema);
  connection->context->RunFunctionInTransaction([&] {
    duckdb::ClientData::Get(*connection->context)
        .catalog_search_path->Set(path, duckdb::CatalogSetPathType::SET_DIRECTLY);
  });
  return connection;
}

idx_t Engine::Threads() const {
  int32_t threads = duckdb::TaskScheduler::GetScheduler(*database_->instance).NumberOfThreads();
  return static_cast<idx_t>(std::max(threads, 1));
}

void Engine::SetTimeZone(const std::string& setting) {
  if (system_zone_.empty()) system_zone_ = CurrentTimeZone(*attaching_);
  UseTimeZone(*attaching_,
              setting == "default" ? system_zone_ : ResolveTimeZone(*attaching_, setting));
  services_->time_zone = CurrentTimeZone(*attaching_);
}

void Engine::NoteSkipped(const std::string& table, int64_t records) {
  if (records == 0) return;
  std::lock_guard lock(skipped_mutex_);
  skipped_[table] += records;
}

std::map<std::string, int64_t> Engine::TakeSkipped() {
  std::lock_guard lock(skipped_mutex_);
  return std::exchange(skipped_, {});
}

TableContext Engine::table_context() {
  return {*files_, *clock_, random_, *database_->instance, budget_.get(), metadata_cache_.get()};
}

void Engine::SetMemoryLimit(std::optional<int64_t> bytes) {
  auto result = attaching_->Query("SET GLOBAL memory_limit = '" +
                                  std::to_string(bytes.value_or(first_limit_bytes_)) + "B'");
  if (result->HasError()) {
    Throw(ErrorCode::kInvalid,
          "SET 'memory.limit': {} bytes are less than what is in use now; stop jobs, or set it "
          "before they start",
          bytes.value_or(first_limit_bytes_));
  }
}

void Engine::CreateCatalog(const std::string& name, const Options& options) {
  auto type = options.find("type");
  std::string kind = type == options.end() ? "" : type->second;
  if (kind == "generic_in_memory") {
    auto store = MakeMemoryStore(name);
    store->CreateDatabase("default", false);
    AttachStore(*attaching_, *services_, std::move(store));
    return;
  }
  if (kind != "paimon" && kind != "table-store") {
    Throw(ErrorCode::kInvalid,
          "Creating catalog '{}': 'type' = '{}' is not known; it must be 'paimon', "
          "'table-store' or 'generic_in_memory'{}",
          name, kind, DidYouMean(kind, {"paimon", "table-store", "generic_in_memory"}));
  }
  AttachStore(*attaching_, *services_, MakeLakeStore(table_context(), name, options));
}

void Engine::DropCatalog(const std::string& name) {
  Store(name);
  DetachStore(*attaching_, *services_, name);
}

CatalogStore& Engine::Store(const std::string& catalog) {
  auto found = services_->stores.find(catalog);
  if (found != services_->stores.end()) return *found->second;
  std::vector<std::string> known;
  for (const auto& [name, store] : services_->stores) known.push_back(name);
  Throw(ErrorCode::kNotFound, "There is no catalog '{}'{}; SHOW CATALOGS lists them", catalog,
        DidYouMean(catalog, known));
}

std::unique_ptr<Sink> Engine::MakeSink(const TableDefinition& definition, const std::string& user,
                                       const std::string& group, bool batch,
                                       std::optional<OverwriteScope> overwrite) {
  std::string connector = definition.Connector();
  if (connector.empty()) {
    LakeSinkOptions options;
    options.user = user;
    options.group = group;
    options.batch = batch;
    options.overwrite = std::move(overwrite);
    options.take_over = fresh_;
    TableDefinition target = definition;
    target.options = WithoutScanOptions(std::move(target.options));
    return MakeLakeSink(OpenLakeTable(table_context(), target), options);
  }
  connectors_.Check(definition);
  const Connector& found = connectors_.Get(connector);
  if (!found.CanWrite()) {
    Throw(ErrorCode::kInvalid, "Inserting into '{}': connector '{}' can only be read",
          definition.path.ToString(), connector);
  }
  return found.MakeSink(*environment_, definition, user);
}

}  // namespace millrace
