// Lets CUDA use the scalar arithmetic of the reference: nvcc compiles these functions for the
// device too and puts the tables into device memory. MVINR_DEVICE: functions that read a table,
// which nvcc therefore compiles for the device alone. Nothing changes for other compilers.
#pragma once

#ifdef __CUDACC__
#define MVINR_HOST_DEVICE __host__ __device__
#define MVINR_DEVICE __device__
#define MVINR_TABLE static __device__ constexpr
#else
#define MVINR_HOST_DEVICE
#define MVINR_DEVICE
#define MVINR_TABLE inline constexpr
#endif
