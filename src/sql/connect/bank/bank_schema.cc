// bank_schema.cc - checks definitions of bank tables.
#include "sql/connect/bank/bank_schema.h"

#include <algorithm>

#include "base/error.h"

namespace millrace {

namespace {

const std::vector<std::string> kTableNames = {"branches", "customers", "accounts", "transactions",
                                              "loans"};

std::vector<DataField> Fields(const std::string& columns) {
  return ParseDataType("ROW<" + columns + ">").fields;
}

}  // namespace

const std::vector<DataField>& BankColumns(BankTable table) {
  static const std::vector<DataField> kColumns[kBankTables] = {
      Fields("branch_id INT NOT NULL, branch_name STRING NOT NULL, city STRING NOT NULL"),
      Fields("customer_id BIGINT NOT NULL, customer_name STRING NOT NULL, segment STRING NOT NULL, "
             "home_branch INT NOT NULL, since DATE NOT NULL"),
      Fields("account_id BIGINT NOT NULL, customer_id BIGINT NOT NULL, branch_id INT NOT NULL, "
             "opening_balance DECIMAL(18,2) NOT NULL, balance DECIMAL(18,2) NOT NULL, "
             "updated_at TIMESTAMP(3) NOT NULL"),
      Fields(
          "transaction_id BIGINT NOT NULL, account_id BIGINT NOT NULL, counter_account BIGINT, "
          "kind STRING NOT NULL, amount DECIMAL(18,2) NOT NULL, booked_at TIMESTAMP(3) NOT NULL"),
      Fields("loan_id BIGINT NOT NULL, account_id BIGINT NOT NULL, transaction_id BIGINT NOT NULL, "
             "amount DECIMAL(18,2) NOT NULL, granted_at TIMESTAMP(3) NOT NULL")};
  return kColumns[static_cast<idx_t>(table)];
}

uint64_t BankPlan::Fingerprint() const {
  uint64_t bits = seed;
  for (int64_t number : {branches, customers, accounts, transactions}) {
    bits = MixBankBits(bits * 31 + static_cast<uint64_t>(number));
  }
  return bits;
}

BankTable BankTableOf(const TableDefinition& definition) {
  TableOptions options(definition);
  std::string name = options.Required("table");
  auto found = std::find(kTableNames.begin(), kTableNames.end(), name);
  if (found == kTableNames.end()) {
    options.Refuse("table", fmt::format("it can be 'branches', 'customers', 'accounts', "
                                        "'transactions' or 'loans'{}",
                                        DidYouMean(name, kTableNames)));
  }
  return static_cast<BankTable>(found - kTableNames.begin());
}

BankPlan MakeBankPlan(const TableDefinition& definition) {
  TableOptions options(definition);
  BankPlan plan;
  plan.branches = options.Integer("branches", plan.branches, 1, 1'000'000);
  plan.customers = options.Integer("customers", plan.customers, 1, 1'000'000'000);
  plan.accounts = options.Integer("accounts", plan.accounts, 1, 1'000'000'000);
  plan.transactions = options.Integer("transactions", plan.transactions, 0, 1'000'000'000'000);
  plan.rate = options.Integer("rate", plan.rate, 0, 1'000'000'000);
  plan.seed = static_cast<uint64_t>(options.Integer("seed", 42));
  std::string format = options.Text("format", "rows");
  if (format != "rows" && format != "debezium-json") {
    options.Refuse("format", "it can be 'rows' or 'debezium-json'");
  }
  plan.debezium = format == "debezium-json";
  return plan;
}

std::vector<std::optional<idx_t>> MapBankColumns(const TableDefinition& definition) {
  BankTable table = BankTableOf(definition);
  const std::string& table_name = kTableNames[static_cast<idx_t>(table)];
  const std::vector<DataField>& known = BankColumns(table);
  std::vector<std::string> names;
  for (const DataField& field : known) names.push_back(field.name);
  std::vector<std::optional<idx_t>> mapping(definition.columns.size());
  for (idx_t index : definition.PhysicalColumns()) {
    const ColumnDefinition& column = definition.columns[index];
    auto found = std::find(names.begin(), names.end(), column.name);
    if (found == names.end()) {
      std::string hint = DidYouMean(column.name, names);
      if (hint.empty()) hint = fmt::format("; it has {}", fmt::join(names, ", "));
      Throw(ErrorCode::kInvalid, "Table {}: the bank's table '{}' has no column '{}'{}",
            definition.path.ToString(), table_name, column.name, hint);
    }
    auto position = static_cast<idx_t>(found - names.begin());
    const DataType& type = known[position].type;
    if (column.type.Nullable() != type.Nullable()) {
      Throw(ErrorCode::kInvalid,
            "Table {}: column '{}' is declared as {}, but it is {} in the bank's table '{}'",
            definition.path.ToString(), column.name, column.type.Nullable().ToString(),
            type.Nullable().ToString(), table_name);
    }
    if (type.nullable && !column.type.nullable) {
      Throw(ErrorCode::kInvalid,
            "Table {}: column '{}' is declared NOT NULL, but in the bank's table '{}' it is NULL "
            "in some rows",
            definition.path.ToString(), column.name, table_name);
    }
    mapping[index] = position;
  }
  return mapping;
}

}  // namespace millrace
