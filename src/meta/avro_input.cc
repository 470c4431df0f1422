// avro_input.cc - decoding values by the writer's types.
#include "base/error.h"
#include "meta/avro.h"

namespace millrace {

namespace {

constexpr int kMaxDepth = 64;

const char* KindName(AvroKind kind) {
  constexpr const char* kNames[] = {"null",   "boolean", "int",    "long",  "float",
                                    "double", "bytes",   "string", "fixed", "enum",
                                    "record", "array",   "map",    "union"};
  return kNames[static_cast<size_t>(kind)];
}

}  // namespace

void AvroInput::Fail(const std::string& found) const {
  Throw(ErrorCode::kCorrupt, "Reading Avro file '{}': {}", *file_, found);
}

int64_t AvroInput::Long() {
  uint64_t bits;
  if (!TakeVarint(bytes_, bits)) Fail("a number is cut or too long");
  return UnZigZag(bits);
}

std::string_view AvroInput::Take(int64_t length) {
  if (length < 0 || static_cast<uint64_t>(length) > bytes_.size()) {
    Fail(fmt::format("{} bytes expected, {} left", length, bytes_.size()));
  }
  std::string_view taken = bytes_.substr(0, static_cast<size_t>(length));
  bytes_.remove_prefix(static_cast<size_t>(length));
  return taken;
}

std::string_view AvroInput::Bytes() {
  return Take(Long());
}

bool AvroInput::Boolean() {
  char byte = Take(1)[0];
  if (byte != 0 && byte != 1) Fail("a boolean is neither 0 nor 1");
  return byte == 1;
}

float AvroInput::Float() {
  return LoadLittle<float>(Take(4).data());
}
double AvroInput::Double() {
  return LoadLittle<double>(Take(8).data());
}

const AvroType& AvroInput::Resolve(const AvroType& type) {
  if (type.kind != AvroKind::kUnion) return type;
  int64_t branch = Long();
  if (branch < 0 || static_cast<uint64_t>(branch) >= type.children.size()) {
    Fail(fmt::format("branch {} of a union of {}", branch, type.children.size()));
  }
  return *type.children[static_cast<size_t>(branch)];
}

std::optional<int64_t> AvroInput::OptionalLong(const AvroType& type) {
  const AvroType& actual = Resolve(type);
  if (actual.kind == AvroKind::kNull) return std::nullopt;
  if (actual.kind != AvroKind::kInt && actual.kind != AvroKind::kLong) {
    Fail(fmt::format("an integer is expected, found {}", KindName(actual.kind)));
  }
  return Long();
}

int64_t AvroInput::Long(const AvroType& type) {
  std::optional<int64_t> value = OptionalLong(type);
  if (!value) Fail("a number is null");
  return *value;
}

std::optional<int> AvroInput::OptionalInt(const AvroType& type) {
  std::optional<int64_t> value = OptionalLong(type);
  if (!value) return std::nullopt;
  if (*value != static_cast<int32_t>(*value))
    Fail(fmt::format("{} does not fit in an INT", *value));
  return static_cast<int>(*value);
}

int AvroInput::Int(const AvroType& type) {
  std::optional<int> value = OptionalInt(type);
  if (!value) Fail("a number is null");
  return *value;
}

std::optional<std::string> AvroInput::OptionalString(const AvroType& type) {
  const AvroType& actual = Resolve(type);
  if (actual.kind == AvroKind::kNull) return std::nullopt;
  if (actual.kind == AvroKind::kFixed) return std::string(Take(actual.size));
  if (actual.kind != AvroKind::kBytes && actual.kind != AvroKind::kString) {
    Fail(fmt::format("bytes or a string are expected, found {}", KindName(actual.kind)));
  }
  return std::string(Bytes());
}

std::string AvroInput::String(const AvroType& type) {
  std::optional<std::string> value = OptionalString(type);
  if (!value) Fail("a string is null");
  return *std::move(value);
}

int64_t AvroInput::BlockCount() {
  int64_t count = Long();
  if (count < 0) {  // A negative count is followed by the length in bytes, for those who skip.
    if (count == INT64_MIN) Fail("an array is longer than its file");
    count = -count;
    Long();
  }
  // Each item takes a byte at least (nobody writes arrays of nulls): a wrong count cannot run away.
  if (static_cast<uint64_t>(count) > bytes_.size()) Fail("an array is longer than its file");
  return count;
}

bool AvroInput::Array(const AvroType& type,
                      const std::function<void(const AvroType& item_type)>& item) {
  const AvroType& actual = Resolve(type);
  if (actual.kind == AvroKind::kNull) return false;
  if (actual.kind != AvroKind::kArray) {
    Fail(fmt::format("an array is expected, found {}", KindName(actual.kind)));
  }
  while (int64_t count = BlockCount()) {
    for (int64_t i = 0; i < count; i++) item(*actual.children[0]);
  }
  return true;
}

void AvroInput::Skip(const AvroType& type, int depth) {
  if (depth > kMaxDepth) Fail("a value is nested too deeply");
  switch (type.kind) {
    case AvroKind::kNull:
      return;
    case AvroKind::kBoolean:
      Take(1);
      return;
    case AvroKind::kInt:
    case AvroKind::kLong:
    case AvroKind::kEnum:
      Long();
      return;
    case AvroKind::kFloat:
      Take(4);
      return;
    case AvroKind::kDouble:
      Take(8);
      return;
    case AvroKind::kBytes:
    case AvroKind::kString:
      Bytes();
      return;
    case AvroKind::kFixed:
      Take(type.size);
      return;
    case AvroKind::kUnion:
      Skip(Resolve(type), depth + 1);
      return;
    case AvroKind::kRecord:
      for (const AvroType* field : type.children) Skip(*field, depth + 1);
      return;
    case AvroKind::kArray:
    case AvroKind::kMap:
      while (int64_t count = BlockCount()) {
        for (int64_t i = 0; i < count; i++) {
          if (type.kind == AvroKind::kMap) Bytes();
          Skip(*type.children[0], depth + 1);
        }
      }
      return;
  }
}

}  // namespace millrace
