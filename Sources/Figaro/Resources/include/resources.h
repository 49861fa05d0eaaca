#pragma once
#include <stddef.h>

struct figaro_resource {
  const unsigned char *octets;
  size_t size;
};

struct figaro_resource figaro_replies_yaml(void);
struct figaro_resource figaro_reply_words_tsv(void);
struct figaro_resource figaro_sites_yaml(void);
struct figaro_resource figaro_notice_en_yaml(void);
struct figaro_resource figaro_notice_de_yaml(void);
