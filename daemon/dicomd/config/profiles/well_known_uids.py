"""Frames of reference, coding schemes, SOP instances and LDAP objects (PS3.6 A-1, as of 2026).

Nobody negotiates them; DCMTK knows their names wherever a UID stands, so we do.
"""

from dicomd.config.profiles.named_uid import NamedUid

WELL_KNOWN_UIDS: tuple[NamedUid, ...] = (
    NamedUid("1.2.840.10008.1.4.1.1", "TalairachBrainAtlasFrameOfReference", "TalairachBrainAtlas"),
    NamedUid("1.2.840.10008.1.4.1.2", "SPM2T1FrameOfReference", "SPM2T1"),
    NamedUid("1.2.840.10008.1.4.1.3", "SPM2T2FrameOfReference", "SPM2T2"),
    NamedUid("1.2.840.10008.1.4.1.4", "SPM2PDFrameOfReference", "SPM2PD"),
    NamedUid("1.2.840.10008.1.4.1.5", "SPM2EPIFrameOfReference", "SPM2EPI"),
    NamedUid("1.2.840.10008.1.4.1.6", "SPM2FILT1FrameOfReference", "SPM2FILT1"),
    NamedUid("1.2.840.10008.1.4.1.7", "SPM2PETFrameOfReference", "SPM2PET"),
    NamedUid("1.2.840.10008.1.4.1.8", "SPM2TRANSMFrameOfReference", "SPM2TRANSM"),
    NamedUid("1.2.840.10008.1.4.1.9", "SPM2SPECTFrameOfReference", "SPM2SPECT"),
    NamedUid("1.2.840.10008.1.4.1.10", "SPM2GRAYFrameOfReference", "SPM2GRAY"),
    NamedUid("1.2.840.10008.1.4.1.11", "SPM2WHITEFrameOfReference", "SPM2WHITE"),
    NamedUid("1.2.840.10008.1.4.1.12", "SPM2CSFFrameOfReference", "SPM2CSF"),
    NamedUid("1.2.840.10008.1.4.1.13", "SPM2BRAINMASKFrameOfReference", "SPM2BRAINMASK"),
    NamedUid("1.2.840.10008.1.4.1.14", "SPM2AVG305T1FrameOfReference", "SPM2AVG305T1"),
    NamedUid("1.2.840.10008.1.4.1.15", "SPM2AVG152T1FrameOfReference", "SPM2AVG152T1"),
    NamedUid("1.2.840.10008.1.4.1.16", "SPM2AVG152T2FrameOfReference", "SPM2AVG152T2"),
    NamedUid("1.2.840.10008.1.4.1.17", "SPM2AVG152PDFrameOfReference", "SPM2AVG152PD"),
    NamedUid("1.2.840.10008.1.4.1.18", "SPM2SINGLESUBJT1FrameOfReference", "SINGLESUBJT1"),
    NamedUid("1.2.840.10008.1.4.2.1", "ICBM452T1FrameOfReference", "ICBM452T1"),
    NamedUid(
        "1.2.840.10008.1.4.2.2", "ICBMSingleSubjectMRIFrameOfReference", "ICBMSingleSubjectMRI"
    ),
    NamedUid(
        "1.2.840.10008.1.4.3.1",
        "IEC61217FixedCoordinateSystemFrameOfReference",
        "IEC61217FixedCoordinateSystem",
    ),
    NamedUid(
        "1.2.840.10008.1.4.3.2",
        "StandardRoboticCoordinateSystemFrameOfReference",
        "StandardRoboticArmCoordinateSystem",
        dcmtk="old",
    ),
    NamedUid(
        "1.2.840.10008.1.4.3.2",
        "StandardRoboticArmCoordinateSystemFrameOfReference",
        "StandardRoboticArmCoordinateSystem",
        dcmtk="new",
    ),
    NamedUid(
        "1.2.840.10008.1.4.3.3",
        "IEC61217TableTopCoordinateSystemFrameOfReference",
        "IEC61217TableTopCoordinateSystem",
    ),
    NamedUid("1.2.840.10008.1.4.4.1", "SRI24FrameOfReferenc", "SRI24", dcmtk="old"),
    NamedUid("1.2.840.10008.1.4.4.1", "SRI24FrameOfReference", "SRI24", dcmtk="new"),
    NamedUid("1.2.840.10008.1.4.5.1", "Colin27FrameOfReference", "Colin27"),
    NamedUid("1.2.840.10008.1.4.6.1", "LPBA40AIRFrameOfReference", "LPBA40AIR"),
    NamedUid("1.2.840.10008.1.4.6.2", "LPBA40FLIRTFrameOfReference", "LPBA40FLIRT"),
    NamedUid("1.2.840.10008.1.4.6.3", "LPBA40SPM5FrameOfReference", "LPBA40SPM5"),
    NamedUid("1.2.840.10008.1.5.1", "HotIronColorPaletteSOPInstance", "HotIronPalette"),
    NamedUid("1.2.840.10008.1.5.2", "PETColorPaletteSOPInstance", "PETPalette"),
    NamedUid("1.2.840.10008.1.5.3", "HotMetalBlueColorPaletteSOPInstance", "HotMetalBluePalette"),
    NamedUid("1.2.840.10008.1.5.4", "PET20StepColorPaletteSOPInstance", "PET20StepPalette"),
    NamedUid("1.2.840.10008.1.5.5", "SpringColorPaletteSOPInstance", "SpringPalette"),
    NamedUid("1.2.840.10008.1.5.6", "SummerColorPaletteSOPInstance", "SummerPalette"),
    NamedUid("1.2.840.10008.1.5.7", "FallColorPaletteSOPInstance", "FallPalette"),
    NamedUid("1.2.840.10008.1.5.8", "WinterColorPaletteSOPInstance", "WinterPalette"),
    NamedUid(
        "1.2.840.10008.1.20.1.1",
        "StorageCommitmentPushModelSOPInstance",
        "StorageCommitmentPushModelInstance",
    ),
    NamedUid(
        "1.2.840.10008.1.20.2.1",
        "RETIRED_StorageCommitmentPullModelSOPInstance",
        "StorageCommitmentPullModelInstance",
    ),
    NamedUid(
        "1.2.840.10008.1.40.1",
        "ProceduralEventLoggingSOPInstance",
        "ProceduralEventLoggingInstance",
    ),
    NamedUid(
        "1.2.840.10008.1.42.1",
        "SubstanceAdministrationLoggingSOPInstance",
        "SubstanceAdministrationLoggingInstance",
    ),
    NamedUid("1.2.840.10008.2.6.1", "DICOMUIDRegistryCodingScheme", "DCMUID"),
    NamedUid("1.2.840.10008.2.16.4", "DICOMControlledTerminologyCodingScheme", "DCM"),
    NamedUid("1.2.840.10008.5.1.1.17", "PrinterSOPInstance", "PrinterInstance"),
    NamedUid(
        "1.2.840.10008.5.1.1.17.376",
        "PrinterConfigurationRetrievalSOPInstance",
        "PrinterConfigurationRetrievalInstance",
    ),
    NamedUid("1.2.840.10008.5.1.1.25", "RETIRED_PrintQueueSOPInstance", "PrintQueue"),
    NamedUid("1.2.840.10008.5.1.1.40.1", "DisplaySystemSOPInstance", "DisplaySystemInstance"),
    NamedUid(
        "1.2.840.10008.5.1.4.1.1.201.1.1",
        "StorageManagementSOPInstance",
        "StorageManagementInstance",
        dcmtk="new",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.1.2.4.2",
        "MOVECompositeInstanceRootRetrieve",
        "CompositeInstanceRootRetrieveMove",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.1.2.4.3",
        "GETCompositeInstanceRootRetrieve",
        "CompositeInstanceRootRetrieveGet",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.1.2.5.3",
        "GETCompositeInstanceRetrieveWithoutBulkData",
        "CompositeInstanceRetrieveWithoutBulkDataGet",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.34.5",
        "UPSGlobalSubscriptionSOPInstance",
        "UPSGlobalSubscriptionInstance",
    ),
    NamedUid(
        "1.2.840.10008.5.1.4.34.5.1",
        "UPSFilteredGlobalSubscriptionSOPInstance",
        "UPSFilteredGlobalSubscriptionInstance",
    ),
    NamedUid("1.2.840.10008.8.1.1", "DICOMContentMappingResource"),
    NamedUid("1.2.840.10008.15.0.3.1", "LDAP_dicomDeviceName", "dicomDeviceName"),
    NamedUid("1.2.840.10008.15.0.3.2", "LDAP_dicomDescription", "dicomDescription"),
    NamedUid("1.2.840.10008.15.0.3.3", "LDAP_dicomManufacturer", "dicomManufacturer"),
    NamedUid(
        "1.2.840.10008.15.0.3.4", "LDAP_dicomManufacturerModelName", "dicomManufacturerModelName"
    ),
    NamedUid("1.2.840.10008.15.0.3.5", "LDAP_dicomSoftwareVersion", "dicomSoftwareVersion"),
    NamedUid("1.2.840.10008.15.0.3.6", "LDAP_dicomVendorData", "dicomVendorData"),
    NamedUid("1.2.840.10008.15.0.3.7", "LDAP_dicomAETitle", "dicomAETitle"),
    NamedUid(
        "1.2.840.10008.15.0.3.8",
        "LDAP_dicomNetworkConnectionReference",
        "dicomNetworkConnectionReference",
    ),
    NamedUid("1.2.840.10008.15.0.3.9", "LDAP_dicomApplicationCluster", "dicomApplicationCluster"),
    NamedUid(
        "1.2.840.10008.15.0.3.10", "LDAP_dicomAssociationInitiator", "dicomAssociationInitiator"
    ),
    NamedUid(
        "1.2.840.10008.15.0.3.11", "LDAP_dicomAssociationAcceptor", "dicomAssociationAcceptor"
    ),
    NamedUid("1.2.840.10008.15.0.3.12", "LDAP_dicomHostname", "dicomHostname"),
    NamedUid("1.2.840.10008.15.0.3.13", "LDAP_dicomPort", "dicomPort"),
    NamedUid("1.2.840.10008.15.0.3.14", "LDAP_dicomSOPClass", "dicomSOPClass"),
    NamedUid("1.2.840.10008.15.0.3.15", "LDAP_dicomTransferRole", "dicomTransferRole"),
    NamedUid("1.2.840.10008.15.0.3.16", "LDAP_dicomTransferSyntax", "dicomTransferSyntax"),
    NamedUid("1.2.840.10008.15.0.3.17", "LDAP_dicomPrimaryDeviceType", "dicomPrimaryDeviceType"),
    NamedUid(
        "1.2.840.10008.15.0.3.18", "LDAP_dicomRelatedDeviceReference", "dicomRelatedDeviceReference"
    ),
    NamedUid(
        "1.2.840.10008.15.0.3.19", "LDAP_dicomPreferredCalledAETitle", "dicomPreferredCalledAETitle"
    ),
    NamedUid("1.2.840.10008.15.0.3.20", "LDAP_dicomTLSCyphersuite", "dicomTLSCyphersuite"),
    NamedUid(
        "1.2.840.10008.15.0.3.21",
        "LDAP_dicomAuthorizedNodeCertificateReference",
        "dicomAuthorizedNodeCertificateReference",
    ),
    NamedUid(
        "1.2.840.10008.15.0.3.22",
        "LDAP_dicomThisNodeCertificateReference",
        "dicomThisNodeCertificateReference",
    ),
    NamedUid("1.2.840.10008.15.0.3.23", "LDAP_dicomInstalled", "dicomInstalled"),
    NamedUid("1.2.840.10008.15.0.3.24", "LDAP_dicomStationName", "dicomStationName"),
    NamedUid("1.2.840.10008.15.0.3.25", "LDAP_dicomDeviceSerialNumber", "dicomDeviceSerialNumber"),
    NamedUid("1.2.840.10008.15.0.3.26", "LDAP_dicomInstitutionName", "dicomInstitutionName"),
    NamedUid("1.2.840.10008.15.0.3.27", "LDAP_dicomInstitutionAddress", "dicomInstitutionAddress"),
    NamedUid(
        "1.2.840.10008.15.0.3.28",
        "LDAP_dicomInstitutionDepartmentName",
        "dicomInstitutionDepartmentName",
    ),
    NamedUid("1.2.840.10008.15.0.3.29", "LDAP_dicomIssuerOfPatientID", "dicomIssuerOfPatientID"),
    NamedUid(
        "1.2.840.10008.15.0.3.30",
        "LDAP_dicomPreferredCallingAETitle",
        "dicomPreferredCallingAETitle",
    ),
    NamedUid(
        "1.2.840.10008.15.0.3.31", "LDAP_dicomSupportedCharacterSet", "dicomSupportedCharacterSet"
    ),
    NamedUid("1.2.840.10008.15.0.4.1", "LDAP_dicomConfigurationRoot", "dicomConfigurationRoot"),
    NamedUid("1.2.840.10008.15.0.4.2", "LDAP_dicomDevicesRoot", "dicomDevicesRoot"),
    NamedUid(
        "1.2.840.10008.15.0.4.3",
        "LDAP_dicomUniqueAETitlesRegistryRoot",
        "dicomUniqueAETitlesRegistryRoot",
    ),
    NamedUid("1.2.840.10008.15.0.4.4", "LDAP_dicomDevice", "dicomDevice"),
    NamedUid("1.2.840.10008.15.0.4.5", "LDAP_dicomNetworkAE", "dicomNetworkAE"),
    NamedUid("1.2.840.10008.15.0.4.6", "LDAP_dicomNetworkConnection", "dicomNetworkConnection"),
    NamedUid("1.2.840.10008.15.0.4.7", "LDAP_dicomUniqueAETitle", "dicomUniqueAETitle"),
    NamedUid("1.2.840.10008.15.0.4.8", "LDAP_dicomTransferCapability", "dicomTransferCapability"),
    NamedUid(
        "1.2.840.10008.15.1.1", "UniversalCoordinatedTimeSynchronizationFrameOfReference", "UTC"
    ),
)
"""In the order of their UIDs."""
