// bytes.h - integers in byte order, variable-length integers and checksums: what binary formats
// share.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace millrace {

static_assert(std::endian::native == std::endian::little, "big-endian machines need other loads");

template <typename T>
T ByteSwap(T value) {
  using U = std::make_unsigned_t<T>;
  auto bits = static_cast<U>(value);
  if constexpr (sizeof(T) == 2) bits = __builtin_bswap16(bits);
  if constexpr (sizeof(T) == 4) bits = __builtin_bswap32(bits);
  if constexpr (sizeof(T) == 8) bits = __builtin_bswap64(bits);
  return static_cast<T>(bits);
}

/// The integer (or IEEE number) at `from`; the caller has checked that it is there.
template <typename T>
T LoadLittle(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}
template <typename T>
T LoadBig(const void* from) {
  return ByteSwap(LoadLittle<T>(from));
}
template <typename T>
void StoreLittle(void* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}
template <typename T>
void StoreBig(void* to, T value) {
  StoreLittle(to, ByteSwap(value));
}
template <typename T>
void AppendLittle(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}
template <typename T>
void AppendBig(std::string& out, T value) {
  AppendLittle(out, ByteSwap(value));
}

/// 7 bits a byte, low bits first, the high bit says that more follow (protobuf, Avro).
void AppendVarint(std::string& out, uint64_t value);
/// Takes one from the front of `in`; false (and `in` unchanged) when it is cut or longer than 64
/// bits.
[[nodiscard]] bool TakeVarint(std::string_view& in, uint64_t& value);

/// Small magnitudes to small numbers: 0, -1, 1, -2 -> 0, 1, 2, 3.
inline uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
inline int64_t UnZigZag(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

/// CRC-32 as in zlib. `seed` is the checksum of what came before.
uint32_t Crc32(std::string_view bytes, uint32_t seed = 0);

}  // namespace millrace
