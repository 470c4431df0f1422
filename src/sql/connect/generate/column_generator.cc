#include "sql/connect/generate/column_generator.h"

#include <cmath>

#include "base/error.h"
#include "format/codec/cell_text.h"

namespace millrace {

namespace {

using duckdb::FlatVector;

Int128 PowerOfTen(int digits) {
  Int128 power = 1;
  for (; digits > 0; digits--) power *= 10;
  return power;
}

/// Integers of type T between two bounds.
template <typename T>
class RandomIntegers : public ColumnGenerator {
 public:
  RandomIntegers(uint64_t seed, int64_t least, int64_t most)
      : seed_(seed),
        least_(least),
        range_(static_cast<uint64_t>(most) - static_cast<uint64_t>(least) + 1) {}

  void Fill(int64_t first, idx_t count, Vector& out, idx_t offset,
            const NominalTime&) const override {
    T* data = FlatVector::GetDataUnsafe<T>(out) + offset;
    for (idx_t i = 0; i < count; i++) {
      uint64_t bits = RowBits(seed_, first + static_cast<int64_t>(i));
      data[i] =
          static_cast<T>(static_cast<int64_t>(static_cast<uint64_t>(least_) + Below(range_, bits)));
    }
  }

 private:
  uint64_t seed_;
  int64_t least_;
  uint64_t range_;
};

/// Decimals of more than 18 digits.
class RandomHugeDecimals : public ColumnGenerator {
 public:
  RandomHugeDecimals(uint64_t seed, Int128 least, Int128 most)
      : seed_(seed), least_(least), range_(static_cast<unsigned __int128>(most - least) + 1) {}

  void Fill(int64_t first, idx_t count, Vector& out, idx_t offset,
            const NominalTime&) const override {
    auto* data = FlatVector::GetData<duckdb::hugeint_t>(out) + offset;
    for (idx_t i = 0; i < count; i++) {
      uint64_t high = RowBits(seed_, first + static_cast<int64_t>(i));
      unsigned __int128 bits = static_cast<unsigned __int128>(high) << 64 | MixBits(high);
      Int128 value = least_ + static_cast<Int128>(bits % range_);
      data[i].lower = static_cast<uint64_t>(value);
      data[i].upper = static_cast<int64_t>(value >> 64);
    }
  }

 private:
  uint64_t seed_;
  Int128 least_;
  unsigned __int128 range_;
};

template <typename T>
class RandomReals : public ColumnGenerator {
 public:
  RandomReals(uint64_t seed, double least, double most) : seed_(seed), least_(least), most_(most) {}

  void Fill(int64_t first, idx_t count, Vector& out, idx_t offset,
            const NominalTime&) const override {
    T* data = FlatVector::GetData<T>(out) + offset;
    for (idx_t i = 0; i < count; i++) {
      double part =
          static_cast<double>(RowBits(seed_, first + static_cast<int64_t>(i)) >> 11) * 0x1p-53;
      data[i] = static_cast<T>(least_ * (1 - part) + most_ * part);  // No overflow of most - least.
    }
  }

 private:
  uint64_t seed_;
  double least_, most_;
};

class RandomBooleans : public ColumnGenerator {
 public:
  explicit RandomBooleans(uint64_t seed) : seed_(seed) {}
  void Fill(int64_t first, idx_t count, Vector& out, idx_t offset,
            const NominalTime&) const override {
    bool* data = FlatVector::GetData<bool>(out) + offset;
    for (idx_t i = 0; i < count; i++)
      data[i] = RowBits(seed_, first + static_cast<int64_t>(i)) >> 63;
  }

 private:
  uint64_t seed_;
};

/// Hexadecimal digits (strings) or bytes, as Flink's generator gives them.
class RandomStrings : public ColumnGenerator {
 public:
  RandomStrings(uint64_t seed, idx_t length, bool hex, bool vary)
      : seed_(seed), length_(length), hex_(hex), vary_(vary) {}

  void Fill(int64_t first, idx_t count, Vector& out, idx_t offset,
            const NominalTime&) const override {
    auto* data = FlatVector::GetData<string_t>(out) + offset;
    for (idx_t i = 0; i < count; i++) {
      uint64_t bits = RowBits(seed_, first + static_cast<int64_t>(i));
      idx_t length = vary_ ? 1 + Below(length_, MixBits(~bits)) : length_;
      string_t text = duckdb::StringVector::EmptyString(out, length);
      char* to = text.GetDataWriteable();
      for (idx_t at = 0; at < length; bits = MixBits(bits + at)) {
        uint64_t word = bits;
        for (int k = 0; k < (hex_ ? 16 : 8) && at < length; k++, at++) {
          to[at] = hex_ ? "0123456789abcdef"[word & 15] : static_cast<char>(word);
          word >>= hex_ ? 4 : 8;
        }
      }
      text.Finalize();
      data[i] = text;
    }
  }

 private:
  uint64_t seed_;
  idx_t length_;
  bool hex_, vary_;
};

/// The time at which a row comes into being, less up to `max_past_ms`; as timestamp, date or time.
class Times : public ColumnGenerator {
 public:
  Times(uint64_t seed, const DataType& type, int64_t max_past_ms)
      : seed_(seed), type_(type), max_past_ms_(max_past_ms) {}

  void Fill(int64_t first, idx_t count, Vector& out, idx_t offset,
            const NominalTime& time) const override {
    for (idx_t i = 0; i < count; i++) {
      int64_t row = first + static_cast<int64_t>(i);
      int64_t ms =
          time.RowMs(row) -
          static_cast<int64_t>(Below(static_cast<uint64_t>(max_past_ms_) + 1, RowBits(seed_, row)));
      if (type_.root == TypeRoot::kDate) {
        FlatVector::GetDataUnsafe<int32_t>(out)[offset + i] = static_cast<int32_t>(ms / 86'400'000);
      } else if (type_.root == TypeRoot::kTime) {
        FlatVector::GetDataUnsafe<int64_t>(out)[offset + i] = ms % 86'400'000 * 1000;
      } else {
        FlatVector::GetDataUnsafe<int64_t>(out)[offset + i] =
            ms * (type_.length > 6 ? 1'000'000 : 1000);
      }
    }
  }

 private:
  uint64_t seed_;
  DataType type_;
  int64_t max_past_ms_;
};

/// start, start + 1, ...
class Sequence : public ColumnGenerator {
 public:
  Sequence(const DataType& type, int64_t start) : type_(type), start_(start) {}
  void Fill(int64_t first, idx_t count, Vector& out, idx_t offset,
            const NominalTime&) const override {
    if (type_.root == TypeRoot::kBigInt) {
      int64_t* data = FlatVector::GetData<int64_t>(out) + offset;
      for (idx_t i = 0; i < count; i++) data[i] = start_ + first + static_cast<int64_t>(i);
      return;
    }
    for (idx_t i = 0; i < count; i++) {
      // In range: MakeColumnGenerator has tried both ends.
      MILLRACE_CHECK(SetCellFromInteger(
          type_, out, offset + i, start_ + first + static_cast<int64_t>(i), EpochUnit::kNone));
    }
  }

 private:
  DataType type_;
  int64_t start_;
};

class Lists : public ColumnGenerator {
 public:
  Lists(std::vector<std::unique_ptr<ColumnGenerator>> members, idx_t length, bool map)
      : members_(std::move(members)), length_(length), map_(map) {}

  void Fill(int64_t first, idx_t count, Vector& out, idx_t offset,
            const NominalTime& time) const override {
    auto* entries = duckdb::ListVector::GetData(out) + offset;
    idx_t start = duckdb::ListVector::GetListSize(out), total = count * length_;
    duckdb::ListVector::Reserve(out, start + total);
    for (idx_t i = 0; i < count; i++) entries[i] = {start + i * length_, length_};
    Vector& child = duckdb::ListVector::GetEntry(out);
    int64_t from = first * static_cast<int64_t>(length_);
    if (map_) {
      auto& parts = duckdb::StructVector::GetEntries(child);
      for (size_t i = 0; i < members_.size(); i++)
        members_[i]->Fill(from, total, *parts[i], start, time);
    } else {
      members_[0]->Fill(from, total, child, start, time);
    }
    duckdb::ListVector::SetListSize(out, start + total);
  }

 private:
  std::vector<std::unique_ptr<ColumnGenerator>> members_;
  idx_t length_;
  bool map_;
};

class Structs : public ColumnGenerator {
 public:
  explicit Structs(std::vector<std::unique_ptr<ColumnGenerator>> members)
      : members_(std::move(members)) {}
  void Fill(int64_t first, idx_t count, Vector& out, idx_t offset,
            const NominalTime& time) const override {
    auto& parts = duckdb::StructVector::GetEntries(out);
    for (size_t i = 0; i < members_.size(); i++)
      members_[i]->Fill(first, count, *parts[i], offset, time);
  }

 private:
  std::vector<std::unique_ptr<ColumnGenerator>> members_;
};

/// Another generator's values, some of them NULL.
class WithNulls : public ColumnGenerator {
 public:
  WithNulls(std::unique_ptr<ColumnGenerator> values, uint64_t seed, double rate)
      : values_(std::move(values)), seed_(seed), rate_(rate) {}
  void Fill(int64_t first, idx_t count, Vector& out, idx_t offset,
            const NominalTime& time) const override {
    values_->Fill(first, count, out, offset, time);
    for (idx_t i = 0; i < count; i++) {
      double part =
          static_cast<double>(RowBits(seed_, first + static_cast<int64_t>(i)) >> 11) * 0x1p-53;
      if (part < rate_) FlatVector::SetNull(out, offset + i, true);
    }
  }

 private:
  std::unique_ptr<ColumnGenerator> values_;
  uint64_t seed_;
  double rate_;
};

/// Makes the generator of one (possibly nested) field from its options.
class Maker {
 public:
  Maker(const TableOptions& options, std::string name, const DataType& type, uint64_t seed)
      : options_(options), name_(std::move(name)), type_(type), seed_(NamedSeed(seed, name_)) {}

  std::unique_ptr<ColumnGenerator> Make(std::optional<int64_t>& rows) {
    std::string kind = options_.Text(Option("kind"), "random");
    if (kind != "random" && kind != "sequence") {
      options_.Refuse(Option("kind"), "it can be 'random' or 'sequence'");
    }
    auto generator = kind == "sequence" ? MakeSequence(rows) : MakeRandom();
    double null_rate = options_.Number(Option("null-rate"), 0);
    if (null_rate < 0 || null_rate > 1)
      options_.Refuse(Option("null-rate"), "it must be in 0 .. 1");
    if (null_rate > 0 && !type_.nullable)
      options_.Refuse(Option("null-rate"), "the column is NOT NULL");
    if (null_rate == 0) return generator;
    return std::make_unique<WithNulls>(std::move(generator), ~seed_, null_rate);
  }

 private:
  std::string Option(const char* option) const { return "fields." + name_ + "." + option; }

  template <typename T>
  std::unique_ptr<ColumnGenerator> Integers() {
    int64_t least = options_.Integer(Option("min"), std::numeric_limits<T>::min(),
                                     std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
    int64_t most = options_.Integer(Option("max"), std::numeric_limits<T>::max(),
                                    std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
    if (most < least) options_.Refuse(Option("max"), "it is less than the 'min'");
    return std::make_unique<RandomIntegers<T>>(seed_, least, most);
  }

  template <typename T>
  std::unique_ptr<ColumnGenerator> Reals() {
    double least = options_.Number(Option("min"), std::numeric_limits<T>::min());
    double most = options_.Number(Option("max"), std::numeric_limits<T>::max());
    if (!(least <= most)) options_.Refuse(Option("max"), "it is less than the 'min'");
    return std::make_unique<RandomReals<T>>(seed_, least, most);
  }

  std::unique_ptr<ColumnGenerator> Decimals() {
    Int128 most = PowerOfTen(type_.length) - 1, least = 0;
    auto read = [&](const char* option, Int128& value) {
      if (options_.Has(Option(option)) &&
          !ParseDecimal(options_.Text(Option(option)), type_.length, type_.scale, value)) {
        options_.Refuse(Option(option), "it is not a " + type_.ToString());
      }
    };
    read("min", least);
    read("max", most);
    if (most < least) options_.Refuse(Option("max"), "it is less than the 'min'");
    if (type_.length > 18) return std::make_unique<RandomHugeDecimals>(seed_, least, most);
    auto low = static_cast<int64_t>(least), high = static_cast<int64_t>(most);
    if (type_.length <= 4) return std::make_unique<RandomIntegers<int16_t>>(seed_, low, high);
    if (type_.length <= 9) return std::make_unique<RandomIntegers<int32_t>>(seed_, low, high);
    return std::make_unique<RandomIntegers<int64_t>>(seed_, low, high);
  }

  std::unique_ptr<ColumnGenerator> Strings(bool hex) {
    bool fixed = type_.root == TypeRoot::kChar || type_.root == TypeRoot::kBinary;
    int64_t standard = fixed ? type_.length : std::min(type_.length, 100);
    int64_t length = options_.Integer(Option("length"), standard, 0, type_.length);
    bool vary = options_.Flag(Option("var-len")) && length > 0;
    return std::make_unique<RandomStrings>(seed_, static_cast<idx_t>(length), hex, vary);
  }

  std::unique_ptr<ColumnGenerator> Member(const std::string& part, const DataType& type) {
    std::optional<int64_t> rows;
    return Maker(options_, name_ + "." + part, type, seed_).Make(rows);
  }

  std::unique_ptr<ColumnGenerator> Collection() {
    auto length = static_cast<idx_t>(options_.Integer(Option("length"), 3, 0, 100'000));
    std::vector<std::unique_ptr<ColumnGenerator>> members;
    if (type_.root == TypeRoot::kArray) {
      members.push_back(Member("element", type_.children[0]));
      return std::make_unique<Lists>(std::move(members), length, false);
    }
    // Random keys could repeat, which a map does not allow: they are counted.
    members.push_back(std::make_unique<Sequence>(type_.children[0], 0));
    bool map = type_.root == TypeRoot::kMap;
    DataType count;
    members.push_back(map ? Member("map.value", type_.children[1])
                          : Member("multiset.count", count));
    return std::make_unique<Lists>(std::move(members), length, true);
  }

  std::unique_ptr<ColumnGenerator> MakeRandom() {
    switch (type_.root) {
      case TypeRoot::kBoolean:
        return std::make_unique<RandomBooleans>(seed_);
      case TypeRoot::kTinyInt:
        return Integers<int8_t>();
      case TypeRoot::kSmallInt:
        return Integers<int16_t>();
      case TypeRoot::kInt:
        return Integers<int32_t>();
      case TypeRoot::kBigInt:
        return Integers<int64_t>();
      case TypeRoot::kFloat:
        return Reals<float>();
      case TypeRoot::kDouble:
        return Reals<double>();
      case TypeRoot::kDecimal:
        return Decimals();
      case TypeRoot::kChar:
      case TypeRoot::kVarChar:
        return Strings(true);
      case TypeRoot::kBinary:
      case TypeRoot::kVarBinary:
        return Strings(false);
      case TypeRoot::kDate:
      case TypeRoot::kTime:
      case TypeRoot::kTimestamp:
      case TypeRoot::kTimestampLtz:
        return std::make_unique<Times>(seed_, type_, options_.DurationMs(Option("max-past"), 0));
      case TypeRoot::kArray:
      case TypeRoot::kMap:
      case TypeRoot::kMultiset:
        return Collection();
      case TypeRoot::kRow: {
        std::vector<std::unique_ptr<ColumnGenerator>> members;
        for (const DataField& field : type_.fields)
          members.push_back(Member(field.name, field.type));
        return std::make_unique<Structs>(std::move(members));
      }
    }
    MILLRACE_CHECK(false);
    return nullptr;
  }

  std::unique_ptr<ColumnGenerator> MakeSequence(std::optional<int64_t>& rows) {
    options_.Required(Option("start"));
    options_.Required(Option("end"));
    int64_t start = options_.Integer(Option("start"), 0), end = options_.Integer(Option("end"), 0);
    if (end < start) options_.Refuse(Option("end"), "it is less than the 'start'");
    bool text = type_.root == TypeRoot::kVarChar || type_.root == TypeRoot::kChar;
    bool fits = (IsPlainInJson(type_) && type_.root != TypeRoot::kBoolean) || text;
    Vector trial(type_.ToDuck());
    for (int64_t edge : {start, end}) {
      if (!fits || !SetCellFromInteger(type_, trial, 0, edge, EpochUnit::kNone)) {
        options_.Refuse(Option("kind"),
                        fmt::format("a sequence up to {} does not fit {}", edge, type_.ToString()));
      }
    }
    rows = std::min(rows.value_or(std::numeric_limits<int64_t>::max()), end - start + 1);
    return std::make_unique<Sequence>(type_, start);
  }

  const TableOptions& options_;
  std::string name_;
  const DataType& type_;
  uint64_t seed_;
};

}  // namespace

uint64_t NamedSeed(uint64_t seed, std::string_view name) {
  uint64_t hash = MixBits(seed + 0x9E3779B97F4A7C15);
  for (char c : name) hash = MixBits(hash ^ static_cast<uint8_t>(c));
  return hash;
}

std::unique_ptr<ColumnGenerator> MakeColumnGenerator(const TableOptions& options,
                                                     const std::string& name, const DataType& type,
                                                     uint64_t seed, std::optional<int64_t>& rows) {
  return Maker(options, name, type, seed).Make(rows);
}

}  // namespace millrace
