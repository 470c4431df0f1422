#include "rows.h"

#include <fmt/format.h>

#include <bit>
#include <numeric>

namespace millrace {

namespace {

constexpr uint64_t kSeed = 42;
constexpr const char* kStatus[] = {"NEW",       "PENDING",  "APPROVED", "REJECTED", "SETTLED",
                                   "CANCELLED", "REVERSED", "ON_HOLD",  "FAILED",   "CLOSED"};
constexpr idx_t kCities = 200;

const std::vector<std::string>& Cities() {
  static const std::vector<std::string> cities = [] {
    std::vector<std::string> made;
    for (idx_t i = 0; i < kCities; i++) made.push_back(fmt::format("city_{:03}", i));
    return made;
  }();
  return cities;
}

void Hex16(uint64_t number, char* out) {
  for (int i = 0; i < 16; i++) out[i] = "0123456789abcdef"[(number >> (60 - 4 * i)) & 15];
}

template <typename T>
T* DataOf(ChangeChunk& chunk, idx_t column) {
  return duckdb::FlatVector::GetData<T>(chunk.rows.data[column]);
}

void FillFirstHalf(ChangeChunk& chunk, uint64_t first, idx_t count) {
  auto* customer = DataOf<int64_t>(chunk, 1);
  auto* branch = DataOf<int32_t>(chunk, 2);
  auto* amount = DataOf<int64_t>(chunk, 3);
  auto* balance = DataOf<double>(chunk, 4);
  auto* status = DataOf<string_t>(chunk, 5);
  for (idx_t i = 0; i < count; i++) {
    uint64_t s = first + i;
    customer[i] = static_cast<int64_t>(Below(Hash(s, 1), 1'000'000));
    branch[i] = static_cast<int32_t>(Below(Hash(s, 2), 500));
    amount[i] = static_cast<int64_t>(Below(Hash(s, 3), 100'000'000));
    balance[i] = static_cast<double>(Hash(s, 4) >> 11) * 0x1.0p-53 * 1'000'000.0;
    status[i] = string_t(kStatus[Below(Hash(s, 5), 10)]);
  }
}

void FillSecondHalf(ChangeChunk& chunk, const std::vector<int64_t>& ids, uint64_t first,
                    idx_t count) {
  auto* memo = DataOf<string_t>(chunk, 6);
  auto* city = DataOf<string_t>(chunk, 7);
  auto* created = DataOf<int64_t>(chunk, 8);
  auto* updated = DataOf<int64_t>(chunk, 9);
  auto* flag = DataOf<bool>(chunk, 10);
  for (idx_t i = 0; i < count; i++) {
    uint64_t s = first + i;
    string_t text = duckdb::StringVector::EmptyString(chunk.rows.data[6], 32);
    Hex16(Hash(s, 6), text.GetDataWriteable());
    Hex16(Hash(s, 7), text.GetDataWriteable() + 16);
    text.Finalize();
    memo[i] = text;
    city[i] = string_t(Cities()[Below(Hash(s, 8), kCities)]);
    uint64_t age_ms = Below(Mix(static_cast<uint64_t>(ids[i])), 100'000'000'000);
    created[i] = static_cast<int64_t>(1'600'000'000'000 + age_ms) * 1000;
    updated[i] = static_cast<int64_t>(1'700'000'000'000 + s) * 1000;
    flag[i] = (Hash(s, 9) & 1) != 0;
  }
}

uint64_t ValueOf(const string_t& text) {
  auto size = text.GetSize();
  const char* data = text.GetData();
  return size + static_cast<uint64_t>(data[0]) + static_cast<uint64_t>(data[size - 1]);
}
uint64_t ValueOf(double number) {
  return std::bit_cast<uint64_t>(number);
}
uint64_t ValueOf(int64_t number) {
  return static_cast<uint64_t>(number);
}
uint64_t ValueOf(int32_t number) {
  return static_cast<uint64_t>(static_cast<int64_t>(number));
}
uint64_t ValueOf(bool flag) {
  return flag ? 1 : 0;
}

template <typename T, uint64_t kDivisor = 1>
uint64_t SumColumn(Vector& column, idx_t count) {
  UnifiedVectorFormat format;
  column.ToUnifiedFormat(count, format);
  const T* values = UnifiedVectorFormat::GetData<T>(format);
  bool all_valid = format.validity.AllValid();
  uint64_t sum = 0;
  for (idx_t i = 0; i < count; i++) {
    idx_t at = format.sel->get_index(i);
    if (all_valid || format.validity.RowIsValid(at)) sum += ValueOf(values[at]) / kDivisor;
  }
  return sum;
}

}  // namespace

uint64_t Mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

uint64_t Hash(uint64_t write, uint64_t column) {
  return Mix(Mix(kSeed + write) + column);
}

uint64_t Below(uint64_t x, uint64_t limit) {
  return (x >> 1) % limit;
}

std::vector<uint32_t> Shuffled(uint32_t count) {
  std::vector<uint32_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  for (uint32_t i = count - 1; i >= 1; i--) {
    std::swap(numbers[i], numbers[Below(Mix(kSeed + i), i + 1)]);
  }
  return numbers;
}

std::vector<ColumnDefinition> RowColumns() {
  std::vector<ColumnDefinition> columns;
  for (auto [name, type] : {std::pair("id", "BIGINT"),
                            {"customer_id", "BIGINT"},
                            {"branch", "INT"},
                            {"amount", "DECIMAL(18, 2)"},
                            {"balance", "DOUBLE"},
                            {"status", "STRING"},
                            {"memo", "STRING"},
                            {"city", "STRING"},
                            {"created", "TIMESTAMP(3)"},
                            {"updated", "TIMESTAMP(3)"},
                            {"flag", "BOOLEAN"}}) {
    ColumnDefinition column;
    column.name = name;
    column.type = ParseDataType(type);
    columns.push_back(std::move(column));
  }
  return columns;
}

void FillRows(ChangeChunk& chunk, const std::vector<int64_t>& ids, uint64_t first, idx_t count,
              RowPart part) {
  chunk.Reset();
  std::copy_n(ids.begin(), count, DataOf<int64_t>(chunk, 0));
  FillFirstHalf(chunk, first, count);
  FillSecondHalf(chunk, ids, first, count);
  if (part == RowPart::kEvenWritesFirstHalf) {
    for (idx_t i = 0; i < count; i++) {
      bool even = (first + i) % 2 == 0;
      for (idx_t c = even ? 6 : 1; c <= (even ? 10 : 5); c++) {
        duckdb::FlatVector::SetNull(chunk.rows.data[c], i, true);
      }
    }
  }
  chunk.rows.SetCardinality(count);
}

uint64_t Checksum(DataChunk& rows, bool two) {
  idx_t n = rows.size();
  if (two) return SumColumn<int64_t>(rows.data[0], n) + SumColumn<int64_t>(rows.data[1], n);
  uint64_t sum = SumColumn<int64_t>(rows.data[0], n) + SumColumn<int64_t>(rows.data[1], n);
  sum += SumColumn<int32_t>(rows.data[2], n) + SumColumn<int64_t>(rows.data[3], n);
  sum += SumColumn<double>(rows.data[4], n);
  for (idx_t c : {5, 6, 7}) sum += SumColumn<string_t>(rows.data[c], n);
  for (idx_t c : {8, 9}) sum += SumColumn<int64_t, 1000>(rows.data[c], n);  // In milliseconds.
  return sum + SumColumn<bool>(rows.data[10], n);
}

}  // namespace millrace
