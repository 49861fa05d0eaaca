/// Octets as text (RFC 4648 section 4).
enum Base64 {
    private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func text(_ octets: some Collection<UInt8>) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((octets.count + 2) / 3 * 4)
        var (bits, count): (UInt32, Int) = (0, 0)
        for octet in octets {
            bits = bits << 8 | UInt32(octet)
            count += 8
            while count >= 6 {
                count -= 6
                text.append(letters[Int(bits >> UInt32(count)) & 63])
            }
        }
        if count > 0 { text.append(letters[Int(bits << UInt32(6 - count)) & 63]) }
        while text.count % 4 != 0 { text.append(61) }
        return String(decoding: text, as: UTF8.self)
    }
}
