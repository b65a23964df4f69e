#pragma once
// 128-bit integers for exact products of 64-bit times.

namespace orrery {

__extension__ typedef __int128 int128;

}  // namespace orrery
