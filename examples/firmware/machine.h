// machine.h - the least that a program needs on a bare processor: a start, a clock that counts instructions,
// and lines of text for a debugger or emulator (semihosting). Also for the computer that compiles it.
#ifndef MACHINE_H
#define MACHINE_H

#if defined(__arm__) && !defined(__linux__)
#  define MACHINE_BARE
// Semihosting: the emulator, or a debugger, does what r0 asks for.
static inline void machine_ask(uint32_t what, const void *argument) {
    register uint32_t r0 __asm__("r0") = what;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}
// SysTick counts down. `qemu -icount shift=0` runs an instruction in a nanosecond, and SysTick ticks every
// MACHINE_TICK of them; the 24 bits last for 0.67 seconds at 25 MHz.
#  ifndef MACHINE_TICK
#    define MACHINE_TICK 40
#  endif
#  define SYSTICK ((volatile uint32_t *)0xe000e010u)
static inline void machine_begin(void) {
    SYSTICK[1] = 0xffffffu;
    SYSTICK[2] = 0;
    SYSTICK[0] = 5;
#  ifdef __ARM_FP
    *(volatile uint32_t *)0xe000ed88u |= 0xfu << 20;  // the floating-point unit is on
    __asm__ volatile("dsb; isb");
#  endif
}
static inline uint32_t machine_ticks(void) {
    return 0xffffffu - SYSTICK[2];
}
static inline uint32_t machine_between(uint32_t begin, uint32_t end) {
    return ((end - begin) & 0xffffffu) * MACHINE_TICK;
}
#elif defined(__riscv) && !defined(__linux__)
#  define MACHINE_BARE
static inline void machine_ask(uint32_t what, const void *argument) {
    register uint32_t a0 __asm__("a0") = what;
    register const void *a1 __asm__("a1") = argument;
    __asm__ volatile(".option push\n.option norvc\n.balign 16\nslli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n"
                     ".option pop"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
}
static inline void machine_begin(void) {}
static inline uint32_t machine_ticks(void) {
    uint32_t count;
    __asm__ volatile(".option push\n.option arch, +zicsr\ncsrr %0, minstret\n.option pop" : "=r"(count));
    return count;
}
static inline uint32_t machine_between(uint32_t begin, uint32_t end) {
    return end - begin;
}
#else
#  include <stdio.h>
static inline uint32_t machine_ticks(void) {
    return 0;
}
static inline uint32_t machine_between(uint32_t begin, uint32_t end) {
    return end - begin;
}
static inline void machine_say(const char *what, int32_t value) {
    printf("%s %ld\n", what, (long)value);
}
#endif

#ifdef MACHINE_BARE
static inline void machine_say(const char *what, int32_t value) {
    char digits[13];
    char *at = digits + sizeof digits;
    uint32_t rest = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
    *--at = 0;
    *--at = '\n';
    do *--at = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (value < 0) *--at = '-';
    machine_ask(4, what);
    machine_ask(4, " ");
    machine_ask(4, at);
}

extern uint32_t ram_begin[], ram_end[], data_flash[], data_begin[], data_end[], bss_end[];
int main(void);

// Data and zeros where C expects them; the stack full of a pattern, so that its depth is seen afterwards.
static void machine_run(void) {
    uint32_t here;
    volatile uint32_t *at;
    const uint32_t *from = data_flash;
    for (at = data_begin; at < (volatile uint32_t *)data_end;) *at++ = *from++;
    for (; at < (volatile uint32_t *)bss_end;) *at++ = 0;
    for (; (uintptr_t)at < (uintptr_t)&here - 64; ++at) *at = 0xa5a5a5a5u;
    machine_begin();
    main();
    for (at = bss_end; *at == 0xa5a5a5a5u;) ++at;
    machine_say("stack", (int32_t)((char *)ram_end - (char *)(uintptr_t)at));
    machine_say("ram", (int32_t)((char *)bss_end - (char *)ram_begin));
    machine_ask(0x18, (const void *)0x20026u);  // the end, and all is well
    for (;;) {}
}
#  ifdef __arm__
static void machine_reset(void) {
    machine_run();
}
__attribute__((section(".vectors"), used)) static void (*const vectors[2])(void) = {
    (void (*)(void))(uintptr_t)ram_end, machine_reset};
#  else
__attribute__((section(".vectors"), naked, used)) void _start(void) {
    __asm__ volatile("la sp, ram_end\nj %0" ::"i"(machine_run));
}
#  endif
#endif
#endif
