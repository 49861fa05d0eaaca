import CResources

/// A file of the folder `Resources`; the program carries it.
enum BuiltInFile {
    static var replies: String { text(figaro_replies_yaml()) }
    static var replyWords: String { text(figaro_reply_words_tsv()) }
    static var sites: String { text(figaro_sites_yaml()) }
    static var noticeEnglish: String { text(figaro_notice_en_yaml()) }
    static var noticeGerman: String { text(figaro_notice_de_yaml()) }

    private static func text(_ resource: figaro_resource) -> String {
        String(decoding: UnsafeBufferPointer(start: resource.octets, count: resource.size), as: UTF8.self)
    }
}
