// Which sanitizer this is compiled for.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define FARPOINT_ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FARPOINT_ADDRESS_SANITIZER
#endif
#endif

// ThreadSanitizer must not instrument fiber.cpp and threads.cpp, where one device thread works for others;
// they tell it what is ordered. They are compiled with -fno-sanitize=thread -DFARPOINT_RACES (see threads.h).
#if defined(__SANITIZE_THREAD__)
#define FARPOINT_INSTRUMENTED_FOR_RACES
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FARPOINT_INSTRUMENTED_FOR_RACES
#endif
#endif
