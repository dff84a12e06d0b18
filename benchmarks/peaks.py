"""What one core can compute at most: multiply-add loops on registers, as many operations as the processor can begin.

A net's share of it says how much a better runtime could still gain. Needs a C compiler and AVX-512; says so where either is
absent.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from measured import spread

SOURCE = r"""
#include <stdio.h>
#include <time.h>
#include <pthread.h>
static double now(void){struct timespec t;clock_gettime(CLOCK_MONOTONIC,&t);return t.tv_sec+1e-9*t.tv_nsec;}
static pthread_barrier_t together;
typedef struct {double f32, int8, bf16;} Rates;
/* Twelve independent accumulators hide the latency of two units of four cycles each. */
#define TWELVE ONE(0) ONE(1) ONE(2) ONE(3) ONE(4) ONE(5) ONE(6) ONE(7) ONE(8) ONE(9) ONE(10) ONE(11)
#define USED "xmm0","xmm1","xmm2","xmm3","xmm4","xmm5","xmm6","xmm7","xmm8","xmm9","xmm10","xmm11"
#define LOOP(rate, products) pthread_barrier_wait(&together); t=now(); \
  for(long n=0;n<turns;n++){__asm__ volatile(TWELVE:::USED);} \
  t=now()-t; r->rate=12.0*products*2*turns/t/1e9;
static void *run(void *where){Rates *r=where; long turns=30000000; double t;
__asm__ volatile("vpxorq %%zmm30,%%zmm30,%%zmm30\n vpxorq %%zmm31,%%zmm31,%%zmm31":::);
#define ONE(i) "vfmadd132ps %%zmm31,%%zmm30,%%zmm" #i "\n"
LOOP(f32,16)
#undef ONE
#ifdef VNNI
#define ONE(i) "vpdpbusd %%zmm31,%%zmm30,%%zmm" #i "\n"
LOOP(int8,64)
#undef ONE
#endif
#ifdef BF16
#define ONE(i) "vdpbf16ps %%zmm31,%%zmm30,%%zmm" #i "\n"
LOOP(bf16,32)
#endif
return 0;}
int main(int argc,char **argv){(void)argv; int threads=argc; Rates r[2]={{0},{0}}; pthread_t p[2];
pthread_barrier_init(&together,0,threads);
for(int i=0;i<threads;i++)pthread_create(p+i,0,run,r+i);
Rates sum={0}; for(int i=0;i<threads;i++){pthread_join(p[i],0);sum.f32+=r[i].f32;sum.int8+=r[i].int8;sum.bf16+=r[i].bf16;}
printf("%f %f %f\n",sum.f32,sum.int8,sum.bf16); return 0;}
"""

KINDS = ("f32", "int8", "bf16")
FLAGS = {"int8": ("avx512_vnni", "-DVNNI"), "bf16": ("avx512_bf16", "-DBF16")}


def peaks(*, rounds: int = 3) -> dict[str, Any]:
    """Billions of operations a second (a multiply-add is two) for each data type, on one thread and on two.

    `{"not measured": reason}` without a compiler or AVX-512.
    """
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    flags = next(
        (line.split() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")), []
    )
    if compiler is None or "avx512f" not in flags:
        return {"not measured": "no C compiler" if compiler is None else "the processor has no AVX-512"}
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "peaks.c", Path(folder) / "peaks"
        source.write_text(SOURCE)
        defines = [define for flag, define in FLAGS.values() if flag in flags]
        subprocess.run([compiler, "-O2", "-pthread", *defines, str(source), "-o", str(program)], check=True)
        rates: dict[str, list[float]] = {}
        for _ in range(rounds):
            for threads in (1, 2):
                # The number of arguments, the program's name included, is the number of threads.
                said = subprocess.check_output([str(program), *["more"] * (threads - 1)], text=True)
                for kind, rate in zip(KINDS, said.split(), strict=True):
                    if float(rate) > 0:
                        rates.setdefault(f"{kind}, {threads} threads", []).append(float(rate))
    return {name: spread(found) for name, found in rates.items()}


def share(peak: dict[str, Any], kind: str, threads: int, *, mflops: float, ms: float) -> float | None:
    """Which part of the peak a net with so many MFLOPs reaches; None where the peak was not measured."""
    found = peak.get(f"{kind}, {threads} threads")
    return None if found is None else round(mflops / ms / found["median"], 3)
