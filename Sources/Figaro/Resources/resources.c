// The files beside this one, as they stand. A compiler of Swift takes a minute of CPU time for the same octets as an
// array literal.
#include "include/resources.h"

static const unsigned char replies_yaml[] = {
#embed "replies.yaml"
};
struct figaro_resource figaro_replies_yaml(void) {
  return (struct figaro_resource){ replies_yaml, sizeof replies_yaml };
}

static const unsigned char reply_words_tsv[] = {
#embed "reply-words.tsv"
};
struct figaro_resource figaro_reply_words_tsv(void) {
  return (struct figaro_resource){ reply_words_tsv, sizeof reply_words_tsv };
}

static const unsigned char sites_yaml[] = {
#embed "sites.yaml"
};
struct figaro_resource figaro_sites_yaml(void) {
  return (struct figaro_resource){ sites_yaml, sizeof sites_yaml };
}

static const unsigned char notice_en_yaml[] = {
#embed "notice-en.yaml"
};
struct figaro_resource figaro_notice_en_yaml(void) {
  return (struct figaro_resource){ notice_en_yaml, sizeof notice_en_yaml };
}

static const unsigned char notice_de_yaml[] = {
#embed "notice-de.yaml"
};
struct figaro_resource figaro_notice_de_yaml(void) {
  return (struct figaro_resource){ notice_de_yaml, sizeof notice_de_yaml };
}
