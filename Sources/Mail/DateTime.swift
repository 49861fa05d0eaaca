package import NIOCore

extension ByteBuffer {
    /// Writes a date and time in UTC as RFC 5322 section 3.3 has it: `Sun, 22 Nov 2026 09:51:27 +0000`.
    ///
    /// Some 30 stores and no allocation, so there is nothing to cache.
    package mutating func writeDateTime(_ time: Timestamp) {
        // Year 1 to 9999; a clock outside of it would otherwise write a date that nobody can read.
        let second = min(max(time.milliseconds / 1_000, -62_135_596_800), 253_402_300_799)
        let day = second >= 0 ? second / 86_400 : -((86_399 - second) / 86_400)
        let rest = second - day * 86_400
        let (year, month, dayOfMonth) = Self.civil(day)
        // 1970-01-01 was a Thursday.
        let weekday = Int(((day + 4) % 7 + 7) % 7)
        writeWithUnsafeMutableBytes(minimumWritableBytes: Self.dateTimeLength) { octets in
            Self.put("SunMonTueWedThuFriSat", weekday, octets, at: 0)
            Self.put(",  ", 0, octets, at: 3)
            Self.put(dayOfMonth, 2, octets, at: 5)
            octets[7] = UInt8(ascii: " ")
            Self.put("JanFebMarAprMayJunJulAugSepOctNovDec", Int(month) - 1, octets, at: 8)
            octets[11] = UInt8(ascii: " ")
            Self.put(year, 4, octets, at: 12)
            octets[16] = UInt8(ascii: " ")
            Self.put(rest / 3_600, 2, octets, at: 17)
            octets[19] = UInt8(ascii: ":")
            Self.put(rest / 60 % 60, 2, octets, at: 20)
            octets[22] = UInt8(ascii: ":")
            Self.put(rest % 60, 2, octets, at: 23)
            Self.put(" +0", 0, octets, at: 25)
            Self.put("000", 0, octets, at: 28)
            return Self.dateTimeLength
        }
    }

    private static var dateTimeLength: Int { 31 }

    /// The proleptic Gregorian date of a day counted from 1970-01-01, in eras of 400 years (146,097 days).
    private static func civil(_ day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }

    /// The three letters at that place of a list.
    private static func put(
        _ names: StaticString, _ index: Int, _ octets: UnsafeMutableRawBufferPointer, at offset: Int
    ) {
        names.withUTF8Buffer { names in
            for place in 0..<3 { octets[offset + place] = names[index * 3 + place] }
        }
    }

    private static func put(
        _ value: Int64, _ digits: Int, _ octets: UnsafeMutableRawBufferPointer, at offset: Int
    ) {
        var rest = value
        for place in stride(from: digits - 1, through: 0, by: -1) {
            octets[offset + place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }
}
