"""Transfer syntaxes by UID (PS3.6 A-1, as of 2026): DCMTK's name, DICOM's keyword.

GE's private syntax stands here as well, because DCMTK names it.
"""

from dicomd.config.profiles.named_uid import NamedUid

TRANSFER_SYNTAXES: tuple[NamedUid, ...] = (
    NamedUid("1.2.840.10008.1.2", "LittleEndianImplicit", "ImplicitVRLittleEndian"),
    NamedUid("1.2.840.10008.1.2.1", "LittleEndianExplicit", "ExplicitVRLittleEndian"),
    NamedUid(
        "1.2.840.10008.1.2.1.98",
        "EncapsulatedUncompressedLittleEndianExplicit",
        "EncapsulatedUncompressedExplicitVRLittleEndian",
        dcmtk="new",
    ),
    NamedUid(
        "1.2.840.10008.1.2.1.99", "DeflatedLittleEndianExplicit", "DeflatedExplicitVRLittleEndian"
    ),
    NamedUid("1.2.840.10008.1.2.2", "BigEndianExplicit", "ExplicitVRBigEndian"),
    NamedUid("1.2.840.10008.1.2.4.50", "JPEGBaseline", "JPEGBaseline8Bit"),
    NamedUid("1.2.840.10008.1.2.4.51", "JPEGExtended:Process2+4", "JPEGExtended12Bit"),
    NamedUid("1.2.840.10008.1.2.4.52", "JPEGExtended:Process3+5", "JPEGExtended35"),
    NamedUid(
        "1.2.840.10008.1.2.4.53",
        "JPEGSpectralSelection:Non-hierarchical:Process6+8",
        "JPEGSpectralSelectionNonHierarchical68",
    ),
    NamedUid(
        "1.2.840.10008.1.2.4.54",
        "JPEGSpectralSelection:Non-hierarchical:Process7+9",
        "JPEGSpectralSelectionNonHierarchical79",
    ),
    NamedUid(
        "1.2.840.10008.1.2.4.55",
        "JPEGFullProgression:Non-hierarchical:Process10+12",
        "JPEGFullProgressionNonHierarchical1012",
    ),
    NamedUid(
        "1.2.840.10008.1.2.4.56",
        "JPEGFullProgression:Non-hierarchical:Process11+13",
        "JPEGFullProgressionNonHierarchical1113",
    ),
    NamedUid("1.2.840.10008.1.2.4.57", "JPEGLossless:Non-hierarchical:Process14", "JPEGLossless"),
    NamedUid(
        "1.2.840.10008.1.2.4.58",
        "JPEGLossless:Non-hierarchical:Process15",
        "JPEGLosslessNonHierarchical15",
    ),
    NamedUid(
        "1.2.840.10008.1.2.4.59",
        "JPEGExtended:Hierarchical:Process16+18",
        "JPEGExtendedHierarchical1618",
    ),
    NamedUid(
        "1.2.840.10008.1.2.4.60",
        "JPEGExtended:Hierarchical:Process17+19",
        "JPEGExtendedHierarchical1719",
    ),
    NamedUid(
        "1.2.840.10008.1.2.4.61",
        "JPEGSpectralSelection:Hierarchical:Process20+22",
        "JPEGSpectralSelectionHierarchical2022",
    ),
    NamedUid(
        "1.2.840.10008.1.2.4.62",
        "JPEGSpectralSelection:Hierarchical:Process21+23",
        "JPEGSpectralSelectionHierarchical2123",
    ),
    NamedUid(
        "1.2.840.10008.1.2.4.63",
        "JPEGFullProgression:Hierarchical:Process24+26",
        "JPEGFullProgressionHierarchical2426",
    ),
    NamedUid(
        "1.2.840.10008.1.2.4.64",
        "JPEGFullProgression:Hierarchical:Process25+27",
        "JPEGFullProgressionHierarchical2527",
    ),
    NamedUid(
        "1.2.840.10008.1.2.4.65",
        "JPEGLossless:Hierarchical:Process28",
        "JPEGLosslessHierarchical28",
    ),
    NamedUid(
        "1.2.840.10008.1.2.4.66",
        "JPEGLossless:Hierarchical:Process29",
        "JPEGLosslessHierarchical29",
    ),
    NamedUid(
        "1.2.840.10008.1.2.4.70",
        "JPEGLossless:Non-hierarchical-1stOrderPrediction",
        "JPEGLosslessSV1",
    ),
    NamedUid("1.2.840.10008.1.2.4.80", "JPEGLSLossless"),
    NamedUid("1.2.840.10008.1.2.4.81", "JPEGLSLossy", "JPEGLSNearLossless"),
    NamedUid("1.2.840.10008.1.2.4.90", "JPEG2000LosslessOnly", "JPEG2000Lossless"),
    NamedUid("1.2.840.10008.1.2.4.91", "JPEG2000"),
    NamedUid("1.2.840.10008.1.2.4.92", "JPEG2000MulticomponentLosslessOnly", "JPEG2000MCLossless"),
    NamedUid("1.2.840.10008.1.2.4.93", "JPEG2000Multicomponent", "JPEG2000MC"),
    NamedUid("1.2.840.10008.1.2.4.94", "JPIPReferenced"),
    NamedUid("1.2.840.10008.1.2.4.95", "JPIPReferencedDeflate"),
    NamedUid("1.2.840.10008.1.2.4.100", "MPEG2MainProfile@MainLevel", "MPEG2MPML"),
    NamedUid(
        "1.2.840.10008.1.2.4.100.1",
        "FragmentableMPEG2MainProfile/MainLevel",
        "MPEG2MPMLF",
        dcmtk="new",
    ),
    NamedUid("1.2.840.10008.1.2.4.101", "MPEG2MainProfile@HighLevel", "MPEG2MPHL"),
    NamedUid(
        "1.2.840.10008.1.2.4.101.1",
        "FragmentableMPEG2MainProfile/HighLevel",
        "MPEG2MPHLF",
        dcmtk="new",
    ),
    NamedUid("1.2.840.10008.1.2.4.102", "MPEG4HighProfile/Level4.1", "MPEG4HP41"),
    NamedUid(
        "1.2.840.10008.1.2.4.102.1",
        "FragmentableMPEG4HighProfile/Level4.1",
        "MPEG4HP41F",
        dcmtk="new",
    ),
    NamedUid("1.2.840.10008.1.2.4.103", "MPEG4BDcompatibleHighProfile/Level4.1", "MPEG4HP41BD"),
    NamedUid(
        "1.2.840.10008.1.2.4.103.1",
        "FragmentableMPEG4BDcompatibleHighProfile/Level4.1",
        "MPEG4HP41BDF",
        dcmtk="new",
    ),
    NamedUid("1.2.840.10008.1.2.4.104", "MPEG4HighProfile/Level4.2For2DVideo", "MPEG4HP422D"),
    NamedUid(
        "1.2.840.10008.1.2.4.104.1",
        "FragmentableMPEG4HighProfile/Level4.2For2DVideo",
        "MPEG4HP422DF",
        dcmtk="new",
    ),
    NamedUid("1.2.840.10008.1.2.4.105", "MPEG4HighProfile/Level4.2For3DVideo", "MPEG4HP423D"),
    NamedUid(
        "1.2.840.10008.1.2.4.105.1",
        "FragmentableMPEG4HighProfile/Level4.2For3DVideo",
        "MPEG4HP423DF",
        dcmtk="new",
    ),
    NamedUid("1.2.840.10008.1.2.4.106", "MPEG4StereoHighProfile/Level4.2", "MPEG4HP42STEREO"),
    NamedUid(
        "1.2.840.10008.1.2.4.106.1",
        "FragmentableMPEG4StereoHighProfile/Level4.2",
        "MPEG4HP42STEREOF",
        dcmtk="new",
    ),
    NamedUid("1.2.840.10008.1.2.4.107", "HEVCMainProfile/Level5.1", "HEVCMP51"),
    NamedUid("1.2.840.10008.1.2.4.108", "HEVCMain10Profile/Level5.1", "HEVCM10P51"),
    NamedUid("1.2.840.10008.1.2.4.110", "JPEGXLLossless", dcmtk="new"),
    NamedUid("1.2.840.10008.1.2.4.111", "JPEGXLJPEGRecompression", dcmtk="new"),
    NamedUid("1.2.840.10008.1.2.4.112", "JPEGXL", dcmtk="new"),
    NamedUid(
        "1.2.840.10008.1.2.4.201",
        "HighThroughputJPEG2000ImageCompressionLosslessOnly",
        "HTJ2KLossless",
        dcmtk="new",
    ),
    NamedUid(
        "1.2.840.10008.1.2.4.202",
        "HighThroughputJPEG2000withRPCLOptionsImageCompressionLosslessOnly",
        "HTJ2KLosslessRPCL",
        dcmtk="new",
    ),
    NamedUid(
        "1.2.840.10008.1.2.4.203", "HighThroughputJPEG2000ImageCompression", "HTJ2K", dcmtk="new"
    ),
    NamedUid("1.2.840.10008.1.2.4.204", "JPIPHTJ2KReferenced", dcmtk="new"),
    NamedUid("1.2.840.10008.1.2.4.205", "JPIPHTJ2KReferencedDeflate", dcmtk="new"),
    NamedUid("1.2.840.10008.1.2.5", "RLELossless"),
    NamedUid("1.2.840.10008.1.2.6.1", "RFC2557MIMEEncapsulation", dcmtk="old"),
    NamedUid(
        "1.2.840.10008.1.2.6.1",
        "RETIRED_RFC2557MIMEEncapsulation",
        "RFC2557MIMEEncapsulation",
        dcmtk="new",
    ),
    NamedUid("1.2.840.10008.1.2.6.2", "XMLEncoding", dcmtk="old"),
    NamedUid("1.2.840.10008.1.2.6.2", "RETIRED_XMLEncoding", "XMLEncoding", dcmtk="new"),
    NamedUid(
        "1.2.840.10008.1.2.7.1",
        "SMPTEST2110-20:UncompressedProgressiveActiveVideo",
        "SMPTEST211020UncompressedProgressiveActiveVideo",
    ),
    NamedUid(
        "1.2.840.10008.1.2.7.2",
        "SMPTEST2110-20:UncompressedInterlacedActiveVideo",
        "SMPTEST211020UncompressedInterlacedActiveVideo",
    ),
    NamedUid(
        "1.2.840.10008.1.2.7.3", "SMPTEST2110-30:PCMDigitalAudio", "SMPTEST211030PCMDigitalAudio"
    ),
    NamedUid("1.2.840.10008.1.2.8.1", "DeflatedImageFrameCompression", dcmtk="new"),
    NamedUid("1.2.840.10008.1.20", "Papyrus3ImplicitVRLittleEndian", dcmtk="none"),
    NamedUid("1.2.840.113619.5.2", "PrivateGELittleEndianImplicitWithBigEndianPixelData", ""),
)
"""In the order of their UIDs."""
